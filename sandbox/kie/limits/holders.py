"""The API keys of each account, parsed from the options."""

from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

__all__ = ["MAIN", "key_holders"]

MAIN: Final = "main"
"""The name of the only account."""


def key_holders(accounts: str, keys: str) -> Mapping[str, tuple[str, ...]]:
    """The keys of each account by its name, in the given order.

    ``accounts`` is ``"north=key-1+key-2,south=key-3"``. If it is empty, one account has all ``keys``, which
    are separated by commas. Raises :class:`ValueError`, whose message names the option but no key.
    """
    if not accounts.strip():
        stripped = (key.strip() for key in keys.split(","))
        return MappingProxyType({MAIN: tuple(dict.fromkeys(filter(None, stripped)))})
    holders = [_holder(part) for part in accounts.split(",")]
    for name, times in Counter(name for name, _ in holders).items():
        if times > 1:
            raise ValueError(f"accounts: {name} is there twice")
    if max(Counter(key for _, held in holders for key in held).values()) > 1:
        raise ValueError("accounts: a key is there twice; it can belong to one account only")
    return MappingProxyType(dict(holders))


def _holder(part: str) -> tuple[str, tuple[str, ...]]:
    name, _, held = part.partition("=")
    keys = tuple(key.strip() for key in held.split("+"))
    if not name.strip():
        raise ValueError("accounts: a name is empty; name=key+key is wanted, separated by commas")
    if not all(keys):
        raise ValueError(f"accounts: {name.strip()} has an empty key; name=key+key is wanted")
    return name.strip(), keys
