"""The one thing that is read of a callback's body: which task it is about.

No signature covers the body (contract 3.2), so whatever else it says could be anybody's. The id itself is
only believed after a poll. So it is looked for generously: one that is overlooked is a paid task that nobody
finds, and one that is wrong is dropped.
"""

import json
import re
from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final, NamedTuple

SPELLINGS: Final = {"taskId": 0, "task_id": 0, "recordId": 1, "record_id": 1}
"""The names of the id, with their ranks. The market pages and the page on signatures disagree (contract 3.1),
and real answers name the same id twice (contract 1.2)."""
LONGEST_ID: Final = 256
"""Characters; those of the provider have 32."""
MOST_IDS: Final = 8
"""Different ids that are taken from one body."""

_OF_THE_REQUEST: Final = frozenset({"param", "input"})
"""The request is quoted in the callback; its prompt is anybody's text."""
_LAYERS: Final = 3
"""Layers of JSON in a text of JSON."""
_MOST_NODES: Final = 10_000
"""Objects and lists that are searched."""
_NAMED: Final = re.compile(
    rf'(?<!\\)(\\?)"({"|".join(SPELLINGS)})\1"\s{{0,9}}:\s{{0,9}}\1"([^"\\\ufffd]{{1,{LONGEST_ID}}})\1"'
)
"""An id in a text that is no JSON. Quotes that are escaped more than once are those of a prompt."""


def is_id(text: str) -> bool:
    """True if this can be the id of a job or task: 1 to 256 printable characters."""
    return 0 < len(text) <= LONGEST_ID and text.isprintable()


def task_id_of(body: bytes) -> str | None:
    """The id of the task that a callback is about; None if the body names none."""
    return next(iter(task_ids_of(body)), None)


def task_ids_of(body: bytes) -> tuple[str, ...]:
    """The ids of tasks that a body names, the most likely one first: ``data.taskId``, if it is there.

    A body that is no JSON, or that was cut, is searched for ``"taskId":"…"``.
    """
    try:
        named = _in_document(_document(body))
    except (ValueError, RecursionError):
        named = _in_text(body.decode(json.detect_encoding(body), "replace"))
    ranked = sorted((rank, at, value) for at, (rank, value) in enumerate(named) if is_id(value))
    return tuple(dict.fromkeys(value for _, _, value in ranked))[:MOST_IDS]


def _document(text: str | bytes) -> Any:
    # Objects become tuples of pairs, so that a key given twice is seen twice. Numbers are not read: Python
    # refuses very long ones, and none matters here.
    return json.loads(
        text, object_pairs_hook=tuple, parse_int=_unread, parse_float=_unread, parse_constant=_unread
    )


class _Node(NamedTuple):
    """An object or a list of the document."""

    value: Any
    rank: int
    """The place: 0 in ``data``, 1 at the top, 2 elsewhere."""
    layers: int = 0


def _in_document(document: Any) -> Iterator[tuple[tuple[int, int], str]]:
    """Each id with its rank, nearer ones first."""
    nodes = deque([_unpacked(_Node(document, 1))])
    for _ in range(_MOST_NODES):
        if not nodes:
            return
        node = nodes.popleft()
        if isinstance(node.value, list):
            held = islice(filter(_holds, node.value), _MOST_NODES)
            nodes.extend(_Node(value, node.rank, node.layers) for value in held)
        elif isinstance(node.value, tuple):
            for name, value in node.value:
                if name in SPELLINGS and isinstance(value, str):
                    yield (SPELLINGS[name], node.rank), value
                elif name == "data":
                    nodes.append(_unpacked(_Node(value, 0, node.layers)))
                elif name not in _OF_THE_REQUEST and _holds(value):
                    nodes.append(_Node(value, 0 if node.rank == 0 else 2, node.layers))


def _holds(value: Any) -> bool:
    return bool(value) and isinstance(value, tuple | list)


def _unpacked(node: _Node) -> _Node:
    """The document in a text of JSON."""
    value, layers = node.value, node.layers
    while isinstance(value, str) and layers < _LAYERS:
        try:
            value, layers = _document(value), layers + 1
        except (ValueError, RecursionError):
            break
    return _Node(value, node.rank, layers)


def _in_text(text: str) -> Iterator[tuple[tuple[int, int], str]]:
    for found in _NAMED.finditer(text):
        yield (SPELLINGS[found[2]], 0), found[3]


def _unread(_number: str) -> int:
    return 0
