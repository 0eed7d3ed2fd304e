"""All accounts of the stand-in: finding a call's account, and changes by hand."""

import math
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from sandbox.kie.accounts.account import Account
from sandbox.kie.options import ProviderOptions

__all__ = ["Accounts", "Caller", "InvalidChange"]


class InvalidChange(ValueError):
    """A change names something that does not exist, or is empty; the message names the field."""


class Caller(NamedTuple):
    """The account and the key of a call."""

    account: Account
    key: str

    @property
    def allowed(self) -> bool:
        """True unless the key has been revoked."""
        return not self.account.is_revoked(self.key)

    @property
    def key_index(self) -> int:
        """The key's index among its account's keys, from 0. Logs show it instead of the key."""
        return self.account.keys.index(self.key)


class Accounts:
    """The accounts by name. The keys, credits, limits and running tasks of one do not affect another."""

    def __init__(self, options: ProviderOptions) -> None:
        self._accounts = {name: Account(options, name) for name in options.key_holders}

    def __getitem__(self, name: str) -> Account:
        return self._accounts[name]

    def __iter__(self) -> Iterator[Account]:
        return iter(self._accounts.values())

    def caller(self, authorization: str | None) -> Caller | None:
        """The sender of an ``Authorization`` header; None for an unknown key."""
        for account in self:
            if (key := account.key(authorization)) is not None:
                return Caller(account, key)
        return None

    def change(self, changes: Any, now: float) -> dict[str, Any]:
        """Set ``credits`` of an ``account``, or ``revoke`` or ``restore`` a key; return the account's state.

        A key identifies its account, so ``account`` may be omitted. Raises :class:`InvalidChange` and changes
        nothing if any part is invalid.
        """
        if not isinstance(changes, Mapping) or not changes.keys() & _CHANGES.keys():
            raise InvalidChange(f"an object with one of {', '.join(_CHANGES)} is wanted")
        if unknown := changes.keys() - _CHANGES.keys() - {"account"}:
            raise InvalidChange(f"{', '.join(sorted(map(str, unknown)))}: no such field")
        requested = [(name, changes[name]) for name in _CHANGES if name in changes]
        account = self._account_of(changes)
        for name, value in requested:
            if problem := _CHECKS[name](account, value):
                raise InvalidChange(f"{name}: {problem}")
        for name, value in requested:
            _CHANGES[name](account, value, now)
        return {
            "account": account.name,
            "balance": account.balance(now),
            "revoked": [index for index, key in enumerate(account.keys) if account.is_revoked(key)],
        }

    def _account_of(self, changes: Mapping[str, Any]) -> Account:
        name = changes.get("account")
        if name is not None:
            account = next((account for account in self if account.name == name), None)
            if account is None:
                raise InvalidChange(
                    f"account: {name!r} does not exist; there are {', '.join(self._accounts)}"
                )
            return account
        key = changes.get("revoke") or changes.get("restore")
        if key is None:
            raise InvalidChange(f"account: which one? There are {', '.join(self._accounts)}")
        account = next((account for account in self if key in account.keys), None)
        if account is None:
            raise InvalidChange("revoke and restore: no account has that key")
        return account


_CHANGES: Final[Mapping[str, Callable[[Account, Any, float], None]]] = MappingProxyType(
    {
        "credits": lambda account, value, now: account.set_balance(float(value), now),
        "revoke": lambda account, key, _now: account.revoke(key),
        "restore": lambda account, key, _now: account.restore(key),
    }
)


def _is_amount(_account: Account, value: Any) -> str | None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return None if is_number and 0 <= value < math.inf else "a number of 0 or more is wanted"


def _is_key(account: Account, value: Any) -> str | None:
    return None if value in account.keys else f"{account.name} has no such key"


_CHECKS: Final[Mapping[str, Callable[[Account, Any], str | None]]] = MappingProxyType(
    {"credits": _is_amount, "revoke": _is_key, "restore": _is_key}
)
