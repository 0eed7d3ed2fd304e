"""Pure functions that turn a status, headers and bytes into an answer's meaning. They never raise.

``body`` is complete and decoded. The client itself reports an exchange that broke off, which has no body.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from provider.answers import (
    Accepted,
    Cause,
    CreateAnswer,
    Disposition,
    Failed,
    NoRecord,
    RecordAnswer,
    Refused,
    Unknown,
    Unreadable,
    Why,
)
from provider.codes import PLAIN_STATUSES, failure, refusal
from provider.envelope import Envelope, read_envelope, read_nested
from provider.numbers import read_balance
from provider.pages import page_message, page_refusal
from provider.records import is_other_task, read_task, state_of
from provider.retry_after import read_retry_after
from provider.task_ids import candidates, read_task_id
from provider.urls import read_link

OK: Final = 200
GENERATION_FAILED: Final = 501
NO_RECORD_CODES: Final = frozenset({404, 422})
"""The codes of recordInfo that mean "no such task" when ``data`` is null (contract 2.4)."""


def read_create(
    http_status: int, headers: Mapping[str, str], body: bytes, *, prompt: str = ""
) -> CreateAnswer:
    """The meaning of an answer to createTask (contract 1.4).

    Accepted needs an HTTP 2xx, the code 200 and a task id. Refused needs no sign of a task, and one of these:
    a code or words of the tables in an envelope, or an answer of an intermediary that certainly did not pass
    the request on. All else is Unknown. ``prompt`` is the request's; words that repeat it mean nothing.
    """
    envelope = read_envelope(body)
    code = _code(envelope, http_status)
    if envelope is None or code is None:
        return _page(envelope, http_status, headers, body)
    if code == OK and _is_2xx(http_status):
        task_id = read_task_id(envelope.data)
        if task_id is not None:
            return Accepted(task_id)
        return Unknown(Why.NO_TASK_ID, code, http_status, envelope.message, candidates(body))
    cause = None if code == OK else refusal(code, envelope.message, prompt)
    task_ids = candidates(body, refused=cause is not None)
    if code == OK or task_ids:
        return Unknown(Why.CONTRADICTORY, code, http_status, envelope.message, task_ids)
    if cause is None:
        again = _retry_after(headers, envelope)
        return Unknown(Why.UNKNOWN_CODE, code, http_status, envelope.message, retry_after=again)
    return Refused(cause, code, http_status, envelope.message, _retry_after(headers, envelope))


def read_record(
    http_status: int, headers: Mapping[str, str], body: bytes, *, task_id: str, api_url: str
) -> RecordAnswer:
    """The meaning of an answer to recordInfo about this task (contract 2).

    A record of another task says nothing. Relative URLs of images are resolved against the host of
    ``api_url``.
    """
    envelope = read_envelope(body)
    code = _code(envelope, http_status)
    if envelope is None or code is None:
        return _no_envelope(envelope, http_status, headers, body)
    data = _record(envelope.data)
    reports_task = code == GENERATION_FAILED or (code == OK and _is_2xx(http_status))
    if reports_task and isinstance(data, dict):
        if is_other_task(data, task_id):
            return Unreadable(Why.OTHER_TASK, code, http_status, envelope.message)
        if state := state_of(data):
            return read_task(data, state, envelope.message, api_url)
    if code == GENERATION_FAILED:
        cause, transient = failure(code, envelope.message)
        return Failed(cause, code, envelope.message, transient=transient)
    if data is None and (reports_task or (code in NO_RECORD_CODES and not _stops(code, envelope.message))):
        return NoRecord(code, envelope.message)
    return _unreadable(envelope, code, http_status, headers)


def read_credits(http_status: int, headers: Mapping[str, str], body: bytes) -> Decimal | Unreadable:
    """The account's balance in credits: ``data`` is a number, which may be fractional (contract 4)."""
    envelope = read_envelope(body)
    code = _code(envelope, http_status)
    if envelope is None or code is None:
        return _no_envelope(envelope, http_status, headers, body)
    balance = read_balance(envelope.data)
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


def _page(
    envelope: Envelope | None, http_status: int, headers: Mapping[str, str], body: bytes
) -> Refused | Unknown:
    # An answer to createTask without an envelope: mostly that of an intermediary.
    message, cause, task_ids = (
        page_message(headers, body),
        page_refusal(http_status, headers),
        candidates(body),
    )
    if cause is None or task_ids:
        why = Why.NOT_JSON if envelope is None else Why.NO_CODE
        return Unknown(why, None, http_status, message, task_ids, _retry_after(headers, envelope))
    return Refused(cause, None, http_status, message, _retry_after(headers, envelope))


def read_download(
    http_status: int, headers: Mapping[str, str], body: bytes, *, api_url: str
) -> str | Unreadable:
    """The link in an answer to download-url (contract 4). The code is 422 for a file of somebody else."""
    envelope = read_envelope(body)
    code = _code(envelope, http_status)
    if envelope is None or code is None:
        return _no_envelope(envelope, http_status, headers, body)
    link = read_link(envelope.data, api_url) if code == OK and _is_2xx(http_status) else None
    return link or _unreadable(envelope, code, http_status, headers)


def _record(data: object) -> object:
    # The record itself may be JSON in a string.
    nested = read_nested(data) if isinstance(data, str) else data
    return nested if isinstance(nested, dict) else data


def _stops(code: int, message: str) -> bool:
    cause = refusal(code, message)
    return cause is not None and cause.disposition is Disposition.STOP


def _no_envelope(
    envelope: Envelope | None, http_status: int, headers: Mapping[str, str], body: bytes
) -> Unreadable:
    cause = PLAIN_STATUSES.get(http_status)
    why = Why.REFUSED if cause else Why.NOT_JSON if envelope is None else Why.NO_CODE
    retry_after = _retry_after(headers, envelope)
    return Unreadable(why, None, http_status, page_message(headers, body), cause, retry_after)


def _unreadable(envelope: Envelope, code: int, http_status: int, headers: Mapping[str, str]) -> Unreadable:
    cause: Cause | None = None
    if code == OK:
        why = Why.BAD_DATA if _is_2xx(http_status) else Why.CONTRADICTORY
    else:
        cause = refusal(code, envelope.message)
        why = Why.UNKNOWN_CODE if cause is None else Why.REFUSED
    return Unreadable(why, code, http_status, envelope.message, cause, _retry_after(headers, envelope))


def _retry_after(headers: Mapping[str, str], envelope: Envelope | None) -> float | None:
    parts = () if envelope is None else (envelope.data, envelope.whole)
    return read_retry_after(headers, *parts)
