"""The time after which the provider wants to be asked again, wherever and however an answer names it."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from provider.numbers import read_number

LONGEST: Final = 3600.0
"""Seconds; a longer time is cut to it."""

_AMOUNT: Final = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)\s*(ms|s|)", re.IGNORECASE)
_SUFFIXES: Final[Mapping[str, float]] = {"ms": 0.001, "s": 1.0}
_NAMES: Final[Mapping[str, float]] = {
    "retryafter": 1.0,
    "retryafterseconds": 1.0,
    "retryafterms": 0.001,
    "retryaftermillis": 0.001,
    "retryaftermilliseconds": 0.001,
}
"""The names, in lower case and without separators, and their units in seconds."""


def read_retry_after(headers: Mapping[str, str], *parts: object, now: datetime | None = None) -> float | None:
    """The seconds until another request is welcome; None if the answer does not say.

    The headers count first, then the parts of the body in order. The provider sends no such header (contract
    1.2); an intermediary might. A date counts from the answer's own date if there is one, else from ``now``,
    and a past one means no time at all.
    """
    for part in (headers, *parts):
        if isinstance(part, Mapping):
            for name, value in part.items():
                unit = _NAMES.get(_folded(name))
                seconds = None if unit is None else _seconds(value, unit, headers, now)
                if seconds is not None:
                    return min(seconds, LONGEST)
    return None


def _folded(name: object) -> str:
    return name.lower().replace("-", "").replace("_", "") if isinstance(name, str) else ""


def _seconds(value: object, unit: float, headers: Mapping[str, str], now: datetime | None) -> float | None:
    if not isinstance(value, str):
        number = read_number(value)
        return None if number is None else float(number) * unit
    if found := _AMOUNT.fullmatch(value.strip()):
        amount, suffix = found.groups()
        return float(amount) * _SUFFIXES.get(suffix.lower(), unit)
    at = _date(value)
    if at is None:
        return None
    sent = next((_date(text) for name, text in headers.items() if name.lower() == "date"), None)
    return max(0.0, (at - (sent or now or datetime.now(UTC))).total_seconds())


def _date(text: str) -> datetime | None:
    try:
        at = parsedate_to_datetime(text[:64])
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
