"""Hints when to try again, in the forms that they can have (contract 10)."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from types import MappingProxyType
from typing import Any, Final

__all__ = ["HINTED", "HINTS", "Hint"]

HINTED: Final = frozenset({429, 455, 503})
"""The codes and statuses whose answers carry the hint."""


@dataclass(frozen=True)
class Hint:
    """A hint as headers, as fields of the envelope, and as words after its text."""

    headers: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, Any] = field(default_factory=dict)
    words: str = ""


def _header(value: str) -> Hint:
    return Hint({"Retry-After": value})


HINTS: Mapping[str, Callable[[float, float], Hint]] = MappingProxyType(
    {
        "seconds": lambda seconds, _now: _header(str(math.ceil(seconds))),
        "float": lambda seconds, _now: _header(f"{seconds:.2f}"),
        "date": lambda seconds, now: _header(formatdate(now + seconds, usegmt=True)),
        "past_date": lambda seconds, now: _header(formatdate(now - seconds, usegmt=True)),
        "nonsense": lambda _seconds, _now: _header("soon"),
        "negative": lambda seconds, _now: _header(f"-{math.ceil(seconds)}"),
        "header_ms": lambda seconds, _now: Hint({"Retry-After-Ms": str(int(seconds * 1000))}),
        "body_seconds": lambda seconds, _now: Hint(fields={"retry_after": seconds}),
        "body_camel": lambda seconds, _now: Hint(fields={"retryAfter": seconds}),
        "body_ms": lambda seconds, _now: Hint(fields={"retry_after_ms": int(seconds * 1000)}),
        "body_camel_ms": lambda seconds, _now: Hint(fields={"retryAfterMs": int(seconds * 1000)}),
        "data_seconds": lambda seconds, _now: Hint(fields={"data": {"retryAfter": seconds}}),
        "text": lambda seconds, _now: Hint(words=f" Please try again in {seconds:g} seconds."),
    }
)
"""By variant of the fault ``retry_after``, the hint, given its seconds and the time in epoch seconds."""
