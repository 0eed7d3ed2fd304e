"""The configuration of a client or a receiver, checked when it is made."""

import os
import re
from enum import StrEnum
from typing import Final

from limner.errors import ConfigurationError
from limner.options import duration

DAY: Final = 86_400.0
DEFAULT_PREFIX: Final = "limner"
"""The prefix of a fleet's keys and queues in Redis."""
MOST_MEGABYTES: Final = 1024
"""Of one image: more is no image."""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")


class Durability(StrEnum):
    """The durability of a write before money depends on it. ``DISK`` and ``REPLICA`` need Redis ≥ 7.2."""

    SERVER = "server"
    """As the server's ``appendfsync`` says."""
    DISK = "disk"
    """It is on the server's disk (WAITAOF 1 0)."""
    REPLICA = "replica"
    """It is on the server's disk and on that of a replica, too (WAITAOF 1 1)."""


def redis_url_of_env() -> str:
    """``LIMNER_REDIS_URL``; raises ConfigurationError if it is not set."""
    url = os.environ.get("LIMNER_REDIS_URL", "").strip()
    if not url:
        raise ConfigurationError("LIMNER_REDIS_URL: not set; it is the URL of the fleet's Redis")
    return url


def checked_seconds(value: float | str, name: str) -> float:
    """A duration, as a number or as text; raises ConfigurationError, which names it."""
    try:
        return duration(_number(value) if isinstance(value, str) else value)
    except ValueError as error:
        raise ConfigurationError(f"{name}: {error}") from None


def checked_megabytes(text: str, name: str) -> int:
    """A bound on bytes, as text in MiB; returns bytes. Raises ConfigurationError, which names the setting."""
    number = _number(text)
    if number is None or not 0 < number <= MOST_MEGABYTES:
        raise ConfigurationError(f"{name}: must be a number above 0 and up to {MOST_MEGABYTES}")
    return int(number * 2**20)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def checked_durability(value: str, name: str = "durability") -> Durability:
    """A durability; raises ConfigurationError, which names the setting."""
    try:
        return Durability(value)
    except ValueError:
        known = ", ".join(Durability)
        raise ConfigurationError(f"{name}: must be one of {known}, not {value!r}") from None


def checked_name(value: str, name: str) -> str:
    """The name of a prefix, a queue or a namespace; raises ConfigurationError, which names the setting."""
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ConfigurationError(
            f"{name}: must be 1 to 32 letters, digits and . _ -, the first a letter or digit"
        )
    return value


def prefix_of_env() -> str:
    """``LIMNER_PREFIX``, or the default; raises ConfigurationError if it cannot be a prefix."""
    return checked_name(os.environ.get("LIMNER_PREFIX", "").strip() or DEFAULT_PREFIX, "LIMNER_PREFIX")
