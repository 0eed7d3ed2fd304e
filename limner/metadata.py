"""The metadata of a job: the JSON object that a producer gives, and gets back with the result.

Everything that is accepted here can be stored by every part that it passes through: Redis, pydantic, and
Celery's result backend. It is read back equal, with tuples as lists.
"""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

MAX_METADATA_BYTES: Final = 4096
MAX_METADATA_DEPTH: Final = 32
"""The levels of objects and arrays. pydantic and Python's JSON stop at some hundreds."""
TOO_LARGE: Final = 10**640
"""Python reads an integer of 640 digits under every setting of its ``int_max_str_digits``."""
SHOWN_CHARACTERS: Final = 40
"""Of a place that a message names."""
_OF_CELERY: Final = frozenset({"__type__", "__value__"})
"""An object with these keys alone is a date, a UUID and so on in Celery's JSON: no object is read back."""


def checked_metadata(value: Any) -> dict[str, Any]:
    """A copy of the metadata as they are read back; raises ValueError, which names the place of the fault."""
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise ValueError("must be a mapping with text keys")
    text = metadata_json(_plain(value, "", MAX_METADATA_DEPTH, iter(range(MAX_METADATA_BYTES))))
    if (size := len(text.encode())) > MAX_METADATA_BYTES:
        raise ValueError(f"at most {MAX_METADATA_BYTES} bytes as JSON, these are {size}")
    plain: dict[str, Any] = json.loads(text)
    return plain


def metadata_json(metadata: Mapping[str, Any]) -> str:
    """The text of checked metadata, as the record keeps it."""
    return json.dumps(metadata, allow_nan=False, ensure_ascii=False, separators=(",", ":"))


def _plain(value: Any, at: str, depth: int, budget: Iterator[int]) -> Any:
    """The value, made of JSON's own types. Each value takes a byte at least, and so one of the ``budget``."""
    if next(budget, None) is None:
        raise ValueError(f"at most {MAX_METADATA_BYTES} bytes as JSON, these are more")
    match value:
        case None | bool():
            return value
        case str():
            return _text(value, at)
        case int() | float():
            return _number(value, at)
        case list() | tuple() | Mapping():
            if depth == 0:
                raise ValueError(
                    f"cannot be written as JSON: at most {MAX_METADATA_DEPTH} levels deep, more are{_of(at)}"
                )
            return _nest(value, at, depth - 1, budget)
    raise _unwritable(f"a value of type {type(value).__name__}", at)


def _number(value: float, at: str) -> float:
    if isinstance(value, int):
        if abs(value) >= TOO_LARGE:
            raise _unwritable("a number of more than 640 digits", at)
        return int(value)
    if not math.isfinite(value):
        raise _unwritable("a number that is not finite", at)
    return float(value)


def _nest(value: Any, at: str, depth: int, budget: Iterator[int]) -> Any:
    if not isinstance(value, Mapping):
        return [_plain(each, f"{at}.{place}", depth, budget) for place, each in enumerate(value)]
    if value.keys() == _OF_CELERY:
        raise _unwritable(
            "an object of __type__ and __value__ alone, which Celery reads as a type of its own", at
        )
    plain = {}
    for name, each in value.items():
        if not isinstance(name, str):
            raise _unwritable(f"a key of type {type(name).__name__}", at)
        plain[_text(name, at)] = _plain(each, f"{at}.{name}", depth, budget)
    return plain


def _text(text: str, at: str) -> str:
    if len(text) > MAX_METADATA_BYTES:
        raise ValueError(f"at most {MAX_METADATA_BYTES} bytes as JSON, these are more")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _unwritable("a text with half a character (a lone surrogate)", at) from None
    return str(text)


def _unwritable(what: str, at: str) -> ValueError:
    return ValueError(f"cannot be written as JSON: it has {what}{_of(at)}")


def _of(at: str) -> str:
    place = at.removeprefix(".")
    short = place if len(place) <= SHOWN_CHARACTERS else f"{place[:SHOWN_CHARACTERS]}…"
    return f" at {short.encode('ascii', 'backslashreplace').decode()}" if place else ""
