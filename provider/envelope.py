"""The provider's envelope ``{"code": …, "msg": …, "data": …}``, read tolerantly and with size limits.

All input comes from outside. No function raises, and no returned text exceeds its limit or contains a control
character.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from itertools import islice
from typing import Final

MAX_MESSAGE: Final = 500
MAX_TASK_ID: Final = 256
MAX_URL: Final = 2048
MAX_URLS: Final = 16
MOST_CREDITS: Final = 1_000_000_000
"""More than any task costs or any account holds; a larger sum is discarded as invalid."""

_MAX_CODE: Final = 999_999
_JSON_LAYERS: Final = 3
_MICRO: Final = Decimal("0.000001")
_DIGITS: Final = re.compile(r"[0-9]{1,15}")
_DECIMAL: Final = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,20})?")
_URL: Final = re.compile(r"https?://[^\s/?#\\]+([/?#]\S*)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Envelope:
    """A JSON object as the provider sends it. ``code`` is None unless it is a number."""

    code: int | None
    message: str
    data: object


def read_envelope(body: bytes) -> Envelope | None:
    """The envelope in the body, or None if the body is not one JSON object."""
    value = read_json(body)
    if not isinstance(value, dict):
        return None
    # The schema says msg; one page of the documentation says message (contract 1.2).
    message = next((text for key in ("msg", "message") if (text := clean(value.get(key)))), "")
    return Envelope(read_code(value.get("code")), message, value.get("data"))


def read_json(text: bytes | str) -> object:
    """The JSON value, with decimals exact, or None if it is not JSON."""
    try:
        return json.loads(text, parse_float=_exact, parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        return None


def read_nested(value: object) -> object:
    """The value, decoded if the provider sent it as JSON in a string, or in a string in a string."""
    for _ in range(_JSON_LAYERS):
        if not isinstance(value, str):
            break
        value = read_json(value)
    return value


def read_code(value: object) -> int | None:
    """A code as a number; None if it is not a number, -1 if it is outside the range of codes.

    A string of digits is accepted: if ``"429"`` were not a code, a clear refusal would leave the job in
    doubt.
    """
    number = read_integer(value)
    if number is None and (isinstance(value, bool) or not isinstance(value, int | Decimal)):
        return None
    return number if number is not None and number <= _MAX_CODE else -1


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

    The ledger counts in millionths, and is exact up to some billions of credits.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        value = Decimal(value.strip()) if _DECIMAL.fullmatch(value.strip()) else None
    if isinstance(value, int):
        value = Decimal(value) if abs(value) < MOST_CREDITS else None
    amount = _bounded(value) if isinstance(value, Decimal) else None
    return amount if amount is not None and abs(amount) < MOST_CREDITS else None


def read_task_id(data: object) -> str | None:
    """The task id in an envelope's ``data``: opaque, but one printable word of at most 256 characters."""
    value = data.get("taskId") if isinstance(data, Mapping) else None
    if not isinstance(value, str):
        return None
    task_id = value.strip()
    usable = task_id.isprintable() and " " not in task_id and len(task_id) <= MAX_TASK_ID
    return task_id if task_id and usable else None


def read_urls(value: object) -> tuple[str, ...]:
    """The http(s) URLs in a list, in order: at most 16, each of at most 2048 characters."""
    if not isinstance(value, list):
        return ()
    usable = (url for url in value if isinstance(url, str) and _is_url(url))
    return tuple(islice(usable, MAX_URLS))


def read_retry_after(headers: Mapping[str, str], *, at_most: float = 3600.0) -> float | None:
    """The seconds of a ``Retry-After`` header; None without one or if it holds a date.

    The provider sends none (contract 1.2); an intermediary might.
    """
    value = next((text for name, text in headers.items() if name.lower() == "retry-after"), "").strip()
    return min(float(value), at_most) if _DIGITS.fullmatch(value) else None


def clean(value: object, limit: int = MAX_MESSAGE) -> str:
    """Text from outside for logs and records: printable, single-spaced, bounded; "" if it is not text."""
    if not isinstance(value, str):
        return ""
    # The first cut avoids scanning a megabyte of message; it is generous because white space may be removed.
    printable = "".join(char if char.isprintable() else " " for char in value[: 4 * limit])
    return " ".join(printable.split())[:limit]


def excerpt(body: bytes) -> str:
    """The beginning of a body that is not an envelope, for the person who investigates it."""
    return clean(body[: 4 * MAX_MESSAGE].decode("utf-8", "replace"), 200)


def _is_url(text: str) -> bool:
    return len(text) <= MAX_URL and text.isprintable() and _URL.fullmatch(text) is not None


def _exact(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


def _bounded(value: Decimal) -> Decimal | None:
    # An exponent is cheap to send and takes gigabytes to expand: 1e999999 must not reach int() or format().
    if not value.is_finite() or value.copy_abs() >= 10**15:
        return None
    exponent = value.as_tuple().exponent
    return value if isinstance(exponent, int) and -6 <= exponent <= 0 else value.quantize(_MICRO)
