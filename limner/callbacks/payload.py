"""The one thing that is read of a callback's body: which task it is about.

No signature covers the body (contract 3.2), so whatever else it says could be anybody's.
"""

import json
from collections.abc import Iterator
from typing import Any, Final

SPELLINGS: Final = frozenset({"taskId", "task_id"})
"""The market pages and the page on signatures disagree (contract 3.1)."""
LONGEST_ID: Final = 256
"""Characters; those of the provider have 32."""


def is_id(text: str) -> bool:
    """True if this can be the id of a job or task: 1 to 256 printable characters."""
    return 0 < len(text) <= LONGEST_ID and text.isprintable()


def task_id_of(body: bytes) -> str | None:
    """The id of the task that a callback is about; None if the body names none, or more than one.

    It may stand in ``data`` or beside it, in either spelling.
    """
    try:
        # Objects become tuples of pairs, so that a key given twice is seen twice. Numbers are not read:
        # Python refuses very long ones, and none matters here.
        document = json.loads(
            body, object_pairs_hook=tuple, parse_int=_unread, parse_float=_unread, parse_constant=_unread
        )
    except (ValueError, RecursionError):
        return None
    match [value for value in _named(document) if value is not None]:
        case [str() as first, *others] if is_id(first) and all(other == first for other in others):
            return first
    return None


def _named(document: Any) -> Iterator[Any]:
    for key, value in _pairs(document):
        if key in SPELLINGS:
            yield value
        elif key == "data":
            yield from (inner for name, inner in _pairs(value) if name in SPELLINGS)


def _pairs(value: Any) -> tuple[tuple[str, Any], ...]:
    return value if isinstance(value, tuple) else ()


def _unread(_number: str) -> int:
    return 0
