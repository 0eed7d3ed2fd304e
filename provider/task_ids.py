"""The id of a task: where it belongs, and wherever else an answer may name it (contract 1.2, 10)."""

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final

from provider.envelope import read_json
from provider.redaction import utf8

MAX_TASK_ID: Final = 256
MAX_CANDIDATES: Final = 4

NAMES: Final = ("taskId", "task_id", "recordId", "record_id")
"""The fields that name a task, the likeliest first."""

_DEPTH: Final = 6
_MOST_VALUES: Final = 1000
_REQUEST: Final = frozenset({"param", "params", "input", "prompt", "request", "callBackUrl"})
_UNLIKELY: Final = re.compile(r"[a-z]{0,15}|[0-9]{0,5}|.*(?://|[{}<>\"]).*", re.IGNORECASE)
"""Words such as ``null`` and ``success``, short numbers, URLs and code."""
_LIKELY: Final = re.compile(r"(?=.*[0-9])[\w.:-]{8,256}", re.ASCII)
_CERTAIN_FORM: Final = re.compile(r"[0-9a-f]{32}|task_\w{4,250}", re.ASCII)
"""The forms of contract 1.2, which count in a refusal as well."""
_IN_MESSAGE: Final = re.compile(r"\b(?:[0-9a-f]{32}|task_\w{4,250})\b", re.ASCII)
_QUOTED: Final = re.compile(
    r"\"(taskId|task_id|recordId|record_id)\\{0,16}\"\s{0,9}:\s{0,9}\\{0,16}\"([^\"\\\s]{1,256})\\{0,16}\""
)


def read_task_id(data: object) -> str | None:
    """The task id in an envelope's ``data``: opaque, but one printable word of at most 256 characters."""
    return as_task_id(data.get("taskId")) if isinstance(data, Mapping) else None


def as_task_id(value: object) -> str | None:
    """The value as a task id, if it is one printable word of at most 256 characters."""
    if not isinstance(value, str):
        return None
    task_id = value.strip()
    usable = task_id.isprintable() and " " not in task_id and len(task_id) <= MAX_TASK_ID
    return task_id if task_id and usable else None


def candidates(body: bytes, *, refused: bool = False) -> tuple[str, ...]:
    """Whatever in an answer to createTask may be the id of the task, the likeliest first: at most four.

    Fields that name a task come first, then a bare text in ``data`` or an ``id``, and then an id in the
    message, which must have the form of the provider's ids. Of a refusal, a bare text must have it too, and
    the message does not count: it may tell the id of anything. In a body that is not JSON, fields that name a
    task are found as text.
    """
    value = read_json(body)
    if value is None or isinstance(value, int | float):
        return _unique(_in_text(utf8(body).decode("utf-8", "replace")))
    form = _CERTAIN_FORM if refused else _LIKELY
    unnamed = (text for text in _unnamed(value) if form.fullmatch(text))
    told = () if refused else _told(value)
    return _unique([*_named(value), *unnamed, *told])


def _unique(texts: list[str]) -> tuple[str, ...]:
    usable = (task_id for text in texts if (task_id := as_task_id(text)) and not _UNLIKELY.fullmatch(task_id))
    return tuple(islice(dict.fromkeys(usable), MAX_CANDIDATES))


def _in_text(text: str) -> list[str]:
    found = list(islice(_QUOTED.findall(text), _MOST_VALUES))
    return [task_id for _, task_id in sorted(found, key=lambda pair: NAMES.index(pair[0]))]


def _named(value: object) -> list[str]:
    # Breadth does not matter: an answer names one task. So the field's name ranks first, then its place.
    found = list(islice(_fields(value, _DEPTH), _MOST_VALUES))
    return [text for name in NAMES for given, text in found if given == name]


def _fields(value: object, depth: int) -> Iterator[tuple[str, str]]:
    for part in _objects(value, depth):
        for name in NAMES:
            task_id = part.get(name)
            if isinstance(task_id, int) and not isinstance(task_id, bool) and 10**6 <= task_id < 10**30:
                yield name, str(task_id)
            elif isinstance(task_id, str):
                yield name, task_id


def _objects(value: object, depth: int) -> Iterator[Mapping[str, Any]]:
    if depth == 0:
        return
    if isinstance(value, str):
        if value.lstrip().startswith(("{", "[", '"')):
            yield from _objects(read_json(value), depth - 1)
    elif isinstance(value, list):
        for item in islice(value, _MOST_VALUES):
            yield from _objects(item, depth - 1)
    elif isinstance(value, Mapping):
        yield value
        for name, item in islice(value.items(), _MOST_VALUES):
            if name not in _REQUEST:
                yield from _objects(item, depth - 1)


def _unnamed(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield from _bare(value.get("data"), _DEPTH)
        yield from _bare(value.get("id"), _DEPTH)
    else:
        yield from _bare(value, _DEPTH)


def _told(value: object) -> list[str]:
    texts = (value.get(name) for name in ("msg", "message")) if isinstance(value, Mapping) else ()
    return [word for text in texts if isinstance(text, str) for word in _IN_MESSAGE.findall(text)]


def _bare(value: object, depth: int) -> Iterator[str]:
    # A text, the texts of a list, or the id of an object, which may be JSON in a text.
    if depth == 0:
        return
    if isinstance(value, str):
        nested = read_json(value) if value.lstrip().startswith(("{", "[", '"')) else None
        if nested is None:
            yield value.strip()
        else:
            yield from _bare(nested, depth - 1)
    elif isinstance(value, list):
        for item in islice(value, 2 * MAX_CANDIDATES):
            yield from _bare(item, depth - 1)
    elif isinstance(value, Mapping):
        yield from _bare(value.get("id"), depth - 1)
