"""The provider's envelope ``{"code": …, "msg": …, "data": …}``, read tolerantly and with size limits.

All input comes from outside. No function raises, and no returned text exceeds its limit or contains a control
character.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from provider.numbers import read_integer
from provider.redaction import without_callbacks

MAX_MESSAGE: Final = 500

_MAX_CODE: Final = 999_999
_JSON_LAYERS: Final = 3


@dataclass(frozen=True, slots=True)
class Envelope:
    """A JSON object as the provider sends it. ``code`` is None unless it is a number."""

    code: int | None
    message: str
    data: object
    whole: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """The JSON object itself."""


def read_envelope(body: bytes) -> Envelope | None:
    """The envelope in the body, or None if the body is not one JSON object."""
    value = read_json(body)
    if not isinstance(value, dict):
        return None
    # The schema says msg; one page of the documentation says message (contract 1.2).
    message = next((text for key in ("msg", "message") if (text := clean(value.get(key)))), "")
    return Envelope(read_code(value.get("code")), message, value.get("data"), value)


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


def clean(value: object, limit: int = MAX_MESSAGE) -> str:
    """Text from outside for logs and records: "" if it is not text.

    The text is printable, single-spaced, bounded, and without the tokens of callback URLs.
    """
    if not isinstance(value, str):
        return ""
    # The first cut avoids scanning a megabyte of message; it is generous because white space may be removed.
    # A token that it cuts is found nevertheless.
    return " ".join(printable(without_callbacks(value[: 4 * limit])).split())[:limit]


def printable(text: str) -> str:
    """The text with a blank in place of each control character."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else " " for char in text)


def _exact(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except InvalidOperation:
        return None
