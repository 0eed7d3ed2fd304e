"""The record of a task, as recordInfo reports it (contract 2). No function raises."""

import json
from collections.abc import Mapping
from typing import Any, Final

from provider.answers import Done, Failed, Pending, RecordAnswer
from provider.codes import failure
from provider.envelope import clean, printable, read_nested
from provider.numbers import read_integer, read_spent, read_times
from provider.redaction import without_callbacks
from provider.task_ids import NAMES
from provider.texts import plain, says_withheld
from provider.urls import Found, read_urls

MAX_RAW: Final = 4000

PENDING_STATES: Final = frozenset({"waiting", "queuing", "generating"})
SUCCESS_STATES: Final = frozenset(
    {"success", "succeed", "succeeded", "successful", "complete", "completed", "done", "finished"}
)
FAIL_STATES: Final = frozenset(
    {"fail", "failed", "failure", "error", "cancelled", "canceled", "timeout", "timed_out", "timedout"}
)

_STATE_BY_FLAG: Final[Mapping[int, str]] = {0: "generating", 1: "success", 2: "fail", 3: "fail"}
"""The state by ``successFlag``, for a record without a state (contract 2.2, 10)."""

_TEXTS: Final = frozenset(
    {"msg", "message", "reason", "error", "errormessage", "failmsg", "failreason", "text"}
)
_UNSAFE_IF_FALSE: Final = frozenset({"isimagesafe", "issafe", "safe"})
_UNSAFE_IF_TRUE: Final = frozenset({"nsfw", "isnsfw", "hasnsfwconcepts", "hasnsfwconcept"})
_DEPTH: Final = 6
_MOST_TEXTS: Final = 50


def is_other_task(data: Mapping[str, Any], task_id: str) -> bool:
    """True if the record names a task, and not this one."""
    named = next((data[name] for name in NAMES if data.get(name) not in (None, "")), task_id)
    text = str(named) if isinstance(named, int) and abs(named) < 10**30 else named
    return not isinstance(text, str) or text.strip() != task_id


def state_of(data: Mapping[str, Any]) -> str:
    """The task's state in lower case; "" if the record does not tell it."""
    state = clean(data.get("state"), 64).lower()
    return state or _STATE_BY_FLAG.get(_flag(data), "")


def read_task(data: Mapping[str, Any], state: str, envelope_message: str, api_url: str) -> RecordAnswer:
    """The state of the task in a record.

    A state that nobody knows is believed only with evidence: the task has ended if there is a time of its
    end, and images or a failure with it.
    """
    if state in SUCCESS_STATES:
        return _done(data, envelope_message, read_urls(data, api_url))
    if state in FAIL_STATES:
        return _failed(data, state, envelope_message)
    if state not in PENDING_STATES and read_times(data)[1] is not None:
        found = read_urls(data, api_url)
        if found.urls:
            return _done(data, envelope_message, found)
        if clean(data.get("failMsg")):
            return _failed(data, state, envelope_message)
    return Pending(state, state in PENDING_STATES, data.get("param"))


def callback_url(answer: RecordAnswer) -> str | None:
    """The callback URL of the request for a task, if the provider reports it (contract 2.1).

    ``param`` is JSON within JSON in more than one shape, so it is parsed only for callers that need it.
    """
    param = read_nested(getattr(answer, "param", None))
    url = param.get("callBackUrl") if isinstance(param, dict) else None
    return url if isinstance(url, str) and url else None


def _flag(data: Mapping[str, Any]) -> int:
    flag = read_integer(data.get("successFlag"))
    return -1 if flag is None else flag


def _done(data: Mapping[str, Any], envelope_message: str, found: Found) -> Done:
    created_ms, completed_ms = read_times(data)
    complete = found.urls and not data.get("failMsg")
    return Done(
        urls=found.urls,
        credits=read_spent(data),
        created_ms=created_ms,
        completed_ms=completed_ms,
        param=data.get("param"),
        relative=found.relative,
        withheld="" if complete else _withheld(data, envelope_message),
        raw=raw(data),
    )


def _failed(data: Mapping[str, Any], state: str, envelope_message: str) -> Failed:
    code = _fail_code(data.get("failCode"))
    message = clean(data.get("failMsg")) or envelope_message
    param = data.get("param")
    cause, transient = failure(code, message, state=state, prompt=_prompt(param))
    return Failed(cause, code, message, param, transient)


def _fail_code(value: object) -> int | str | None:
    number = read_integer(value)
    return number if number is not None else clean(value, 64) or None


def _prompt(param: object) -> str:
    # The prompt of the request, which a message may repeat.
    request = read_nested(param)
    given = read_nested(request.get("input")) if isinstance(request, dict) else None
    prompt = given.get("prompt") if isinstance(given, dict) else None
    return prompt if isinstance(prompt, str) else ""


def _withheld(data: Mapping[str, Any], envelope_message: str) -> str:
    said = [clean(data.get("failMsg")), envelope_message]
    for name in ("response", "resultJson"):
        said += _said(read_nested(data.get(name)), _DEPTH)
    return next((text for text in said[:_MOST_TEXTS] if says_withheld(plain(text))), "")


def _said(value: object, depth: int) -> list[str]:
    # The messages in a result, and its marks of unsafe images.
    texts: list[str] = []
    if depth and isinstance(value, list):
        for item in value[:16]:
            texts += _said(item, depth - 1)
    elif depth and isinstance(value, Mapping):
        for name, item in value.items():
            folded = name.lower().replace("_", "")
            if (folded in _UNSAFE_IF_FALSE and item is False) or (
                folded in _UNSAFE_IF_TRUE and _is_true(item)
            ):
                texts.append(clean(f"{name}: unsafe"))
            elif folded in _TEXTS and isinstance(item, str):
                texts.append(clean(item))
            else:
                texts += _said(item, depth - 1)
    return texts


def _is_true(value: object) -> bool:
    return value is True or (isinstance(value, list) and True in value)


def raw(data: Mapping[str, Any]) -> str:
    """The record's data as JSON, for a person: without the request, without secrets, bounded."""
    kept = {name: value for name, value in data.items() if name != "param"}
    try:
        text = _ENCODER.encode(kept)
    except (ValueError, RecursionError):
        return ""
    # The cut precedes the search for tokens, which finds a cut one as well.
    text = without_callbacks(text[: 4 * MAX_RAW])
    return printable(text)[:MAX_RAW]


# A decimal is exact as text, and its exponent is not expanded.
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, default=str)
