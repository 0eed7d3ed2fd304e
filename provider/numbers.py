"""Numbers, sums and times from outside: each is exact and within its bounds, or it is None."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

MOST_CREDITS: Final = 1_000_000_000
"""More than any account holds; a larger sum is discarded as invalid."""
MOST_CREDITS_OF_A_TASK: Final = 100_000
"""More than any task costs: a price list's dearest image costs 24 (contract 10)."""
EARLIEST_MS: Final = 1_577_836_800_000
"""2020, before the provider was there, in epoch milliseconds."""
LATEST_MS: Final = 4_102_444_800_000
"""2100, in epoch milliseconds."""

_MICRO: Final = Decimal("0.000001")
_DIGITS: Final = re.compile(r"[0-9]{1,15}")
_DECIMAL: Final = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,20})?")
_NUMBER: Final = re.compile(r"[0-9]{1,15}(\.[0-9]{1,9})?")
_GROUPED: Final = re.compile(r"-?[0-9]{1,3}(?:([, \u00a0\u202f])[0-9]{3})(?:\1[0-9]{3}){0,3}(\.[0-9]{1,20})?")
_BALANCE_FIELDS: Final = ("credits", "balance", "credit")


def read_integer(value: object) -> int | None:
    """A whole number of at most 15 digits, sent as a number or as a string of digits; otherwise None."""
    if isinstance(value, bool):
        return None
    if isinstance(value, Decimal):
        exact = _bounded(value)
        value = int(exact) if exact is not None and exact == exact.to_integral_value() else None
    if isinstance(value, int):
        return value if 0 <= value < 10**15 else None
    return int(value) if isinstance(value, str) and _DIGITS.fullmatch(value.strip()) else None


def read_decimal(value: object) -> Decimal | None:
    """A number of credits, to six places, sent as a number or as a string; None for any other value.

    Thousands may be grouped by commas or blanks. The ledger counts in millionths, and is exact up to some
    billions of credits.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        value = _decimal_text(value.strip())
    if isinstance(value, int):
        value = Decimal(value) if abs(value) < MOST_CREDITS else None
    amount = _bounded(value) if isinstance(value, Decimal) else None
    return amount if amount is not None and abs(amount) < MOST_CREDITS else None


def read_balance(data: object) -> Decimal | None:
    """The balance in an envelope's ``data``: a number, or an object that names it (contract 4)."""
    if isinstance(data, Mapping):
        data = next((data[name] for name in _BALANCE_FIELDS if name in data), None)
    return read_decimal(data)


def read_spent(data: Mapping[str, object]) -> Decimal | None:
    """The credits that a task consumed; None if it does not say, or says what no task costs."""
    amounts = (read_decimal(data.get(name)) for name in ("creditsConsumed", "consumeCredits"))
    spent = next((amount for amount in amounts if amount is not None), None)
    return spent if spent is not None and 0 <= spent <= MOST_CREDITS_OF_A_TASK else None


def read_times(data: Mapping[str, object]) -> tuple[int | None, int | None]:
    """The times of a task's creation and end in epoch milliseconds; both None if the end comes first."""
    created, completed = read_time(data.get("createTime")), read_time(data.get("completeTime"))
    if created is not None and completed is not None and completed < created:
        return None, None
    return created, completed


def read_time(value: object) -> int | None:
    """A time in epoch milliseconds between 2020 and 2100, else None.

    It may be sent in milliseconds, in seconds or as ISO 8601, whose default zone is UTC.
    """
    number = read_number(value)
    if number is None:
        return _iso_time(value) if isinstance(value, str) else None
    if EARLIEST_MS <= number < LATEST_MS:
        return int(number)
    return int(number * 1000) if EARLIEST_MS <= number * 1000 < LATEST_MS else None


def read_number(value: object) -> Decimal | None:
    """A number from 0, of at most 15 digits before its point, sent as a number or as a string."""
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = Decimal(value.strip())
    if isinstance(value, Decimal):
        number = _bounded(value)
        return number if number is not None and number >= 0 else None
    whole = read_integer(value)
    return None if whole is None else Decimal(whole)


def _iso_time(text: str) -> int | None:
    try:
        at = datetime.fromisoformat(text.strip()[:40])
        ms = int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None
    return ms if EARLIEST_MS <= ms < LATEST_MS else None


def _decimal_text(text: str) -> Decimal | None:
    if _DECIMAL.fullmatch(text):
        return Decimal(text)
    grouped = _GROUPED.fullmatch(text)
    return Decimal(text.replace(grouped.group(1), "")) if grouped else None


def _bounded(value: Decimal) -> Decimal | None:
    # An exponent is cheap to send and takes gigabytes to expand: 1e999999 must not reach int() or format().
    if not value.is_finite() or value.copy_abs() >= 10**15:
        return None
    exponent = value.as_tuple().exponent
    return value if isinstance(exponent, int) and -6 <= exponent <= 0 else value.quantize(_MICRO)
