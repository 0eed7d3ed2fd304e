"""The inspection of messages before Celery sees them: each becomes a message that no step stumbles over.

Nothing here speaks to Redis. A message that passes is built anew from what is known to be good, so that its
headers cannot change how Celery treats it.
"""

import binascii
import bz2
import itertools
import json
import lzma
import secrets
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC
from functools import partial
from typing import Any, Final, TypeGuard

from celery.app.task import Context
from celery.utils.saferepr import saferepr
from celery.utils.time import maybe_iso8601, maybe_make_aware, timezone
from kombu.utils import json as kombu_json

from worker.marks import Marks

STEP: Final = "limner-step"
"""The header with the fleet's mark. Only the dispatcher's messages have it."""
FAULT: Final = "limner-fault"
"""The header that says why a producer's message makes no job. Its task stores that as the result."""

ENTRANCE: Final = "limner.create_task"
"""The only task that others may send."""
JSON: Final = "application/json"

MOST_BYTES: Final = 1_048_576
"""The largest message, also after it was decompressed. A request with all its metadata takes 30 KB."""
DEEPEST: Final = 100
"""The depth to which a message may be nested."""
MOST_TEXT: Final = 1000
"""Characters of an id, or of the name of a task or header."""
MOST_REPR: Final = 10_000
"""Characters of a producer's own representation of its arguments, which is shown by monitors."""
MOST_COUNT: Final = 10**6

_REPRS: Final = frozenset({"argsrepr", "kwargsrepr"})
_EMBEDDED: Final = ("callbacks", "errbacks", "chain", "chord")
_OLD: Final = ("eta", "expires", "retries", "timelimit", "group")
"""Fields of a message of protocol 1 that are headers of protocol 2."""
_RESERVED: Final = frozenset({*dir(Context), *_REPRS, "task", "lang", "compression", STEP, FAULT})
"""A request takes its headers as attributes, so that a header of such a name would replace one."""


@dataclass(frozen=True, slots=True)
class Sound:
    """A message for Celery.

    ``raw`` is what the broker keeps until it is acknowledged, and delivers again if it never is.
    """

    raw: dict[str, Any]
    body: bytes
    decoded: Any
    fault: str = ""
    """The reason why it makes no job. Its producer is told in the result."""

    @property
    def headers(self) -> dict[str, Any]:
        """The headers."""
        headers: dict[str, Any] = self.raw["headers"]
        return headers


class Refused(Exception):
    """A message that is set aside. Nobody can be told, or nobody should."""


class Fault(Exception):
    """A message that makes no job, and whose producer is told why."""


class Inspection:
    """Inspects the messages of a worker. ``steps`` are the names of the fleet's tasks."""

    def __init__(self, marks: Marks, steps: frozenset[str]) -> None:
        self._marks = marks
        self._steps = steps
        own = secrets.token_hex(8)
        self._tags = map(f"{own}.{{}}".format, itertools.count())

    def __call__(self, item: bytes, queue: str) -> Sound:
        """Inspect a message as it lies in the queue; raises Refused."""
        if len(item) > MOST_BYTES:
            raise Refused(f"too large: {len(item)} bytes, and {MOST_BYTES} are allowed")
        try:
            envelope = json.loads(item)
        except (ValueError, RecursionError) as error:
            raise Refused(f"unreadable: no JSON ({_said(error)})") from None
        if not isinstance(envelope, dict):
            raise Refused("unreadable: no JSON object")
        headers, properties = envelope.get("headers"), envelope.get("properties")
        if headers is None:
            headers = {}
        if not isinstance(headers, dict) or not isinstance(properties, dict):
            raise Refused("unreadable: headers and properties must be JSON objects")
        if STEP in headers:
            return self._step(envelope, headers, properties, queue)
        return self._plain(item, envelope, headers, properties, queue)

    # The fleet's own

    def _step(
        self, envelope: dict[str, Any], headers: dict[str, Any], properties: dict[str, Any], queue: str
    ) -> Sound:
        task, task_id = headers.get("task"), headers.get("id")
        if not isinstance(task, str) or task not in self._steps or not isinstance(task_id, str):
            raise Refused("forged: it bears a mark, and names no step")
        try:
            body = _body(envelope, properties)
        except Fault as fault:
            raise Refused(f"forged: {fault}") from None
        mark = headers[STEP]
        if not self._marks.valid(mark, task, task_id, body):
            raise Refused(f"forged: the mark of this {task} is not the fleet's")
        # Other headers are not covered by the mark.
        own = {
            "lang": "py",
            "task": task,
            "id": task_id,
            "root_id": task_id,
            "ignore_result": True,
            "argsrepr": "",
            "kwargsrepr": "",
            STEP: mark,
        }
        return self._sound(own, {}, envelope["body"], body, kombu_json.loads(body), queue)

    # Plain producers

    def _plain(
        self,
        item: bytes,
        envelope: dict[str, Any],
        headers: dict[str, Any],
        properties: dict[str, Any],
        queue: str,
    ) -> Sound:
        body, decoded, fault = b"", None, ""
        try:
            body, decoded = _decoded(envelope, headers, properties)
        except Fault as unread:
            fault = str(unread)
        old = decoded if isinstance(decoded, dict) else {}
        fields = {**{name: old[name] for name in _OLD if name in old}, **headers}
        if "group" not in fields and "taskset" in old:
            fields["group"] = old["taskset"]
        task, task_id = headers.get("task", old.get("task")), headers.get("id", old.get("id"))
        if fault and "task" not in headers:
            # A message of protocol 1 says what it is in its body. Its id is its correlation id, too.
            task, task_id = ENTRANCE, properties.get("correlation_id")
        if not _is_text(task) or not _is_text(task_id):
            what = fault or "it has no name of a task, or no id"
            raise Refused(f"unreadable: {what}")
        if task in self._steps and task != ENTRANCE:
            raise Refused(f"forged: {task} without the fleet's mark")
        try:
            if task != ENTRANCE:
                raise Fault(f"unknown: this queue takes {ENTRANCE} only, and not {task}")
            if fault:
                raise Fault(f"unreadable: {fault}")
            told = headers.get(FAULT)
            if _is_text(told):
                return self._answer(task_id, told, properties, queue, told="")
            _check_depth(item, headers)
            _check_depth(body, decoded)
            return self._job(task_id, fields, old, body, decoded, properties, queue)
        except Fault as wrong:
            return self._answer(task_id, str(wrong), properties, queue, told=str(wrong))

    def _job(
        self,
        task_id: str,
        fields: Mapping[str, Any],
        old: Mapping[str, Any],
        body: bytes,
        decoded: Any,
        properties: dict[str, Any],
        queue: str,
    ) -> Sound:
        headers = _headers(fields)
        if old:
            args, kwargs = old.get("args", []), old.get("kwargs", {})
            decoded = [args, kwargs, {name: old[name] for name in _EMBEDDED if name in old}]
            headers = {"argsrepr": saferepr(args), "kwargsrepr": saferepr(kwargs), **headers}
            body = kombu_json.dumps(decoded).encode()
        _check_call(decoded)
        own = {"lang": "py", "task": ENTRANCE, "id": task_id, **headers}
        return self._sound(own, properties, _encoded(body), body, decoded, queue)

    def _answer(
        self, task_id: str, fault: str, properties: dict[str, Any], queue: str, *, told: str
    ) -> Sound:
        fault = fault[:MOST_TEXT]
        headers = {"lang": "py", "task": ENTRANCE, "id": task_id, "ignore_result": True, FAULT: fault}
        decoded: list[Any] = [[], {}, {}]
        body = b"[[], {}, {}]"
        return self._sound(headers, properties, _encoded(body), body, decoded, queue, fault=told)

    def _sound(
        self,
        headers: dict[str, Any],
        properties: dict[str, Any],
        encoded: str,
        body: bytes,
        decoded: Any,
        queue: str,
        *,
        fault: str = "",
    ) -> Sound:
        priority, origin = properties.get("priority"), properties.get("delivery_info")
        sent = properties.get("timestamp")
        redelivered = isinstance(origin, dict) and origin.get("redelivered") is True
        raw = {
            "body": encoded,
            "content-encoding": "utf-8",
            "content-type": JSON,
            "headers": headers,
            "properties": {
                "correlation_id": headers["id"],
                "reply_to": "",
                "delivery_mode": 2,
                # A message that is given back returns to where it was, and not to where it says.
                "delivery_info": {"exchange": "", "routing_key": queue, "redelivered": redelivered},
                # From it, the age of a message is known (``tasks.message_time``).
                "timestamp": sent if _is_moment(sent) else None,
                "priority": priority if _is_count(priority) else 0,
                "body_encoding": "base64",
                # Two messages of one tag would be one to the transport, and the place of the other lost.
                "delivery_tag": next(self._tags),
            },
        }
        return Sound(raw, body, decoded, fault)


def _body(envelope: Mapping[str, Any], properties: Mapping[str, Any]) -> bytes:
    """The bytes of the body; raises Fault."""
    body, encoding = envelope.get("body"), properties.get("body_encoding")
    if not isinstance(body, str):
        raise Fault("its body is no text")
    try:
        if encoding == "base64":
            return binascii.a2b_base64(body, strict_mode=True)
        if encoding in (None, "", "utf-8"):
            return body.encode()
    except ValueError as error:
        raise Fault(f"its body cannot be decoded ({_said(error)})") from None
    raise Fault("its body has an unknown encoding; base64 is accepted")


def _decoded(
    envelope: Mapping[str, Any], headers: Mapping[str, Any], properties: Mapping[str, Any]
) -> tuple[bytes, Any]:
    """The body as bytes, and what it contains; raises Fault."""
    kind = envelope.get("content-type")
    if kind != JSON:
        shown = saferepr(kind, 100)
        raise Fault(f"the content type {shown} is not accepted; send {JSON} (task_serializer = 'json')")
    body = _body(envelope, properties)
    if (compression := headers.get("compression")) is not None:
        body = _decompressed(body, compression)
    try:
        return body, kombu_json.loads(body)
    except Exception as error:
        # Types of kombu's own, such as dates, are made while the text is read, and may raise anything.
        raise Fault(f"its body is no JSON ({_said(error)})") from None


_DECOMPRESSORS: Final[Mapping[str, Callable[[], Any]]] = {
    "application/x-gzip": zlib.decompressobj,
    "application/x-bz2": bz2.BZ2Decompressor,
    "application/x-lzma": partial(lzma.LZMADecompressor, memlimit=64 * MOST_BYTES),
}
"""The compressions that are accepted. Others cannot be stopped at a size."""


def _decompressed(body: bytes, compression: object) -> bytes:
    made = _DECOMPRESSORS.get(compression) if isinstance(compression, str) else None
    if made is None:
        shown = ", ".join(name.rpartition("-")[2] for name in _DECOMPRESSORS)
        raise Fault(f"its compression is not accepted; there are {shown}")
    try:
        found: bytes = made().decompress(body, MOST_BYTES + 1)
    except Exception as error:
        raise Fault(f"its body cannot be decompressed ({_said(error)})") from None
    if len(found) > MOST_BYTES:
        raise Fault(f"too large: its body has more than {MOST_BYTES} bytes after decompression")
    return found


def _headers(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The headers that the message keeps; raises Fault, which names the one at fault."""
    found: dict[str, Any] = {name: value for name, value in fields.items() if name not in _RESERVED}
    for name, (fits, must) in _FORMS.items():
        if (value := fields.get(name)) is not None:
            if not fits(value):
                raise Fault(f"header {name}: must be {must}")
            found[name] = value
    for name in _REPRS & found.keys():
        found[name] = found[name][:MOST_REPR].encode(errors="replace").decode()
    # Threads know no time limits.
    return found | {"timelimit": [None, None], "ignore_result": fields.get("ignore_result") is True}


def _check_call(decoded: Any) -> None:
    """Raises Fault unless the body is a call, with nothing that would take the place of a header."""
    if not isinstance(decoded, list) or len(decoded) != 3:
        raise Fault("its body is no call: args, kwargs and what follows")
    args, kwargs, embedded = decoded
    if not isinstance(args, list) or not isinstance(kwargs, dict):
        raise Fault("its args must be a list, and its kwargs a JSON object")
    if embedded is None:
        return
    if not isinstance(embedded, dict) or not embedded.keys() <= set(_EMBEDDED):
        raise Fault(f"its body may have {', '.join(_EMBEDDED)} beside args and kwargs, and nothing else")
    for name in _EMBEDDED[:3]:
        each = embedded.get(name)
        if each is not None and not (isinstance(each, list) and all(isinstance(one, dict) for one in each)):
            raise Fault(f"its {name} must be a list of signatures")
    if not isinstance(embedded.get("chord"), dict | None):
        raise Fault("its chord must be a signature")


def _check_depth(text: bytes, value: Any) -> None:
    """Raises Fault for a value that is nested so deeply that some step of its way cannot follow."""
    if text.count(b"[") + text.count(b"{") <= DEEPEST:
        return
    level = [value]
    for _ in range(DEEPEST):
        level = [each for one in level for each in _inside(one)]
        if not level:
            return
    raise Fault(f"it is nested more than {DEEPEST} levels deep")


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _is_text(value: object) -> TypeGuard[str]:
    if not isinstance(value, str) or not 0 < len(value) <= MOST_TEXT:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_COUNT


def _is_moment(value: object) -> bool:
    return (isinstance(value, int | float) and not isinstance(value, bool)) or _is_time(value)


def _is_time(value: object) -> bool:
    if not isinstance(value, str) or len(value) > 64:
        return False
    try:
        found: Any = maybe_iso8601(value)
        moment = maybe_make_aware(found, UTC)
        timezone.to_system(moment)
        moment.timestamp()
    except Exception:
        # Years at either end overflow in some zone.
        return False
    return True


def _is_limits(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(each is None or (isinstance(each, int | float) and each >= 0) for each in value)
    )


def _is_names(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


_A_TEXT: Final = (lambda value: value == "" or _is_text(value), f"a text of at most {MOST_TEXT} characters")
_A_COUNT: Final = (_is_count, f"a whole number from 0 to {MOST_COUNT}")
_A_TIME: Final = (_is_time, "a time in ISO 8601")
_FORMS: Final[Mapping[str, tuple[Callable[[Any], bool], str]]] = {
    **dict.fromkeys(("shadow", "root_id", "parent_id", "group", "origin"), _A_TEXT),
    **dict.fromkeys(("retries", "group_index", "replaced_task_nesting"), _A_COUNT),
    **dict.fromkeys(("eta", "expires"), _A_TIME),
    **dict.fromkeys(_REPRS, (lambda value: isinstance(value, str), "a text")),
    "timelimit": (_is_limits, "two times in seconds"),
    "stamped_headers": (_is_names, "a list of names"),
    "stamps": (lambda value: isinstance(value, dict), "a JSON object"),
}
"""The headers that Celery acts upon: a test of each, and its words. None stands for no header."""


def _encoded(body: bytes) -> str:
    return binascii.b2a_base64(body, newline=False).decode()


def _said(error: BaseException) -> str:
    # The representation of a UnicodeDecodeError has the whole text.
    return f"{type(error).__name__}: {error}"[:150]
