"""Pure functions that turn a status, headers and bytes into an answer's meaning. They never raise.

``body`` is complete and decoded. The client itself reports an exchange that broke off, which has no body.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from provider.answers import (
    Accepted,
    Cause,
    CreateAnswer,
    Done,
    Failed,
    NoRecord,
    Pending,
    RecordAnswer,
    Refused,
    Unknown,
    Unreadable,
    Why,
)
from provider.codes import PLAIN_STATUSES, failure, refusal
from provider.envelope import (
    Envelope,
    clean,
    excerpt,
    read_decimal,
    read_envelope,
    read_integer,
    read_nested,
    read_retry_after,
    read_task_id,
    read_urls,
)

OK: Final = 200
GENERATION_FAILED: Final = 501
NO_RECORD_CODES: Final = frozenset({404, 422})
"""The codes of recordInfo that mean "no such task" when ``data`` is null (contract 2.4)."""

PENDING_STATES: Final = frozenset({"waiting", "queuing", "generating"})
SUCCESS_STATES: Final = frozenset({"success"})
FAIL_STATES: Final = frozenset({"fail", "failed"})


def read_create(http_status: int, headers: Mapping[str, str], body: bytes) -> CreateAnswer:
    """The meaning of an answer to createTask (contract 1.4).

    Accepted needs an HTTP 2xx, the code 200 and a task id. Refused needs a known code in a JSON envelope, or
    a status of :data:`~provider.codes.PLAIN_STATUSES`, and no task id. All else is Unknown.
    """
    envelope = read_envelope(body)
    code = _code(envelope, http_status)
    if envelope is None or code is None:
        why = Why.NOT_JSON if envelope is None else Why.NO_CODE
        if cause := PLAIN_STATUSES.get(http_status):
            return Refused(cause, None, http_status, excerpt(body), read_retry_after(headers))
        return Unknown(why, None, http_status, excerpt(body))
    task_id = read_task_id(envelope.data)
    if code == OK and _is_2xx(http_status):
        if task_id is not None:
            return Accepted(task_id)
        return Unknown(Why.NO_TASK_ID, code, http_status, envelope.message)
    cause = refusal(code, envelope.message)
    if code == OK or task_id is not None:
        return Unknown(Why.CONTRADICTORY, code, http_status, envelope.message)
    if cause is None:
        return Unknown(Why.UNKNOWN_CODE, code, http_status, envelope.message)
    return Refused(cause, code, http_status, envelope.message, read_retry_after(headers))


def read_record(http_status: int, headers: Mapping[str, str], body: bytes) -> RecordAnswer:
    """The meaning of an answer to recordInfo (contract 2)."""
    envelope = read_envelope(body)
    code = _code(envelope, http_status)
    if envelope is None or code is None:
        return _no_envelope(envelope, http_status, headers, body)
    reports_task = code == GENERATION_FAILED or (code == OK and _is_2xx(http_status))
    if reports_task and isinstance(envelope.data, dict) and clean(envelope.data.get("state")):
        return _task(envelope.data, envelope.message)
    if code == GENERATION_FAILED:
        return Failed(failure(code, envelope.message), code, envelope.message)
    if envelope.data is None and (reports_task or code in NO_RECORD_CODES):
        return NoRecord(code, envelope.message)
    return _unreadable(envelope, code, http_status, headers)


def callback_url(answer: RecordAnswer) -> str | None:
    """The callback URL of the request for a task, if the provider reports it (contract 2.1).

    ``param`` is JSON within JSON in more than one shape, so it is parsed only for callers that need it.
    """
    param = read_nested(getattr(answer, "param", None))
    url = param.get("callBackUrl") if isinstance(param, dict) else None
    return url if isinstance(url, str) and url else None


def read_credits(http_status: int, headers: Mapping[str, str], body: bytes) -> Decimal | Unreadable:
    """The account's balance in credits: ``data`` is a bare number, which may be fractional (contract 4)."""
    envelope = read_envelope(body)
    code = _code(envelope, http_status)
    if envelope is None or code is None:
        return _no_envelope(envelope, http_status, headers, body)
    balance = read_decimal(envelope.data)
    if code == OK and _is_2xx(http_status) and balance is not None:
        return balance
    return _unreadable(envelope, code, http_status, headers)


def _code(envelope: Envelope | None, http_status: int) -> int | None:
    # The body's code takes precedence over the HTTP status, which often is an intermediary's. For the same
    # reason a status replaces a missing code only if it reports success.
    if envelope is None:
        return None
    return envelope.code if envelope.code is not None or not _is_2xx(http_status) else http_status


def _is_2xx(http_status: int) -> bool:
    return 200 <= http_status < 300


def _no_envelope(
    envelope: Envelope | None, http_status: int, headers: Mapping[str, str], body: bytes
) -> Unreadable:
    cause = PLAIN_STATUSES.get(http_status)
    why = Why.REFUSED if cause else Why.NOT_JSON if envelope is None else Why.NO_CODE
    return Unreadable(why, None, http_status, excerpt(body), cause, read_retry_after(headers))


def _unreadable(envelope: Envelope, code: int, http_status: int, headers: Mapping[str, str]) -> Unreadable:
    cause: Cause | None = None
    if code == OK:
        why = Why.BAD_DATA if _is_2xx(http_status) else Why.CONTRADICTORY
    else:
        cause = refusal(code, envelope.message)
        why = Why.UNKNOWN_CODE if cause is None else Why.REFUSED
    return Unreadable(why, code, http_status, envelope.message, cause, read_retry_after(headers))


def _task(data: Mapping[str, Any], envelope_message: str) -> Pending | Done | Failed:
    state = clean(data.get("state"), 64).lower()
    if state in SUCCESS_STATES:
        return _done(data)
    if state in FAIL_STATES:
        code = _fail_code(data.get("failCode"))
        message = clean(data.get("failMsg")) or envelope_message
        return Failed(failure(code, message), code, message, data.get("param"))
    return Pending(state, state in PENDING_STATES, data.get("param"))


def _done(data: Mapping[str, Any]) -> Done:
    result = read_nested(data.get("resultJson"))
    spent = (read_decimal(data.get(name)) for name in ("creditsConsumed", "consumeCredits"))
    return Done(
        urls=read_urls(result.get("resultUrls")) if isinstance(result, dict) else (),
        credits=next((amount for amount in spent if amount is not None and amount >= 0), None),
        created_ms=read_integer(data.get("createTime")),
        completed_ms=read_integer(data.get("completeTime")),
        param=data.get("param"),
    )


def _fail_code(value: object) -> int | str | None:
    number = read_integer(value)
    return number if number is not None else clean(value, 64) or None
