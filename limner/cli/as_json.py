"""The output of ``--json``: plain JSON values under the names of ``docs/cli.md``. Times are UTC."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from pydantic import BaseModel

from limner.accounts import AccountStatus
from limner.cli.exits import ExitCode
from limner.cli.words import happened
from limner.errors import Cancelled, Expired, JobFailed
from limner.models import Images
from limner.spending import DaySpend, Standing
from limner.status import (
    BrokenRecord,
    Contradiction,
    Doubt,
    Event,
    JobState,
    JobStatus,
    Letter,
    LogEntry,
    PendingCopy,
    UnmatchedCallback,
)

JsonObject = dict[str, Any]


def moment(at: datetime) -> str:
    """A time in ISO 8601, to the millisecond."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def fields_of(
    answer: (
        JobStatus
        | Doubt
        | BrokenRecord
        | Contradiction
        | Letter
        | PendingCopy
        | UnmatchedCallback
        | AccountStatus
        | DaySpend
        | Standing
    ),
) -> JsonObject:
    """All fields of one of the library's answers, by their names."""
    fields: JsonObject = _plain(asdict(answer))
    return fields


def _plain(value: Any) -> Any:
    match value:
        case datetime():
            return moment(value)
        case date():
            return value.isoformat()
        case Decimal():
            return str(value)
        case BaseModel():
            return value.model_dump(mode="json")
        case dict():
            return {name: _plain(each) for name, each in value.items()}
        case list() | tuple():
            return [_plain(each) for each in value]
    return value


_ENDS: Final[Mapping[type[JobFailed], JobState]] = {
    Cancelled: JobState.CANCELLED,
    Expired: JobState.EXPIRED,
}


def outcome_as_json(job_id: str, outcome: Images | JobFailed) -> JsonObject:
    """The end of a job: all of its Images, or its error."""
    if isinstance(outcome, Images):
        return {"job_id": job_id, "state": JobState.SUCCEEDED, **outcome.model_dump(mode="json")}
    return {
        "job_id": job_id,
        "state": _ENDS.get(type(outcome), JobState.FAILED),
        "task_id": outcome.task_id,
        "error": {
            "type": type(outcome).__name__,
            "message": outcome.message,
            "code": outcome.code,
            "charged": outcome.charged,
            "retryable": outcome.retryable,
            "safe_to_resend": outcome.safe_to_resend,
            "advice": outcome.advice,
            "details": outcome.details,
        },
    }


def entry_as_json(entry: LogEntry, created_at: datetime) -> JsonObject:
    """One thing that happened to a job; ``seconds`` counts from its submission."""
    return {
        "at": moment(entry.at),
        "seconds": (entry.at - created_at).total_seconds(),
        "event": entry.event,
        "text": happened(entry.event, entry.detail),
        "detail": entry.detail,
    }


def event_as_json(event: Event) -> JsonObject:
    """One entry of the event stream; what is about an account has no job."""
    return {
        "id": event.id,
        "job_id": event.job_id or None,
        "at": moment(event.at),
        "event": event.event,
        "text": happened(event.event, event.detail),
        "detail": event.detail,
        "metadata": event.metadata,
        "namespace": event.namespace or None,
    }


def error_as_json(kind: str, message: str, code: ExitCode, job_id: str | None = None) -> JsonObject:
    """The error of a command, for standard error."""
    error: JsonObject = {"error": kind, "message": message, "exit_code": int(code)}
    return error if job_id is None else {**error, "job_id": job_id}
