"""The output of ``--json``: plain JSON values under the names of ``docs/cli.md``. Times are UTC."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from limner.accounts import AccountStatus
from limner.cli.exits import ExitCode
from limner.cli.words import happened
from limner.errors import Cancelled, Expired, JobFailed
from limner.models import Images
from limner.spending import DaySpend, Standing
from limner.status import Doubt, Event, JobState, JobStatus, LogEntry, UnmatchedCallback

Facts = dict[str, Any]


def moment(at: datetime) -> str:
    """A time in ISO 8601, to the millisecond."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def facts_of(told: JobStatus | Doubt | UnmatchedCallback | AccountStatus | DaySpend | Standing) -> Facts:
    """All fields of one of the library's answers, by their names."""
    facts: Facts = _plain(asdict(told))
    return facts


def _plain(fact: Any) -> Any:
    match fact:
        case datetime():
            return moment(fact)
        case date():
            return fact.isoformat()
        case Decimal():
            return str(fact)
        case dict():
            return {name: _plain(value) for name, value in fact.items()}
        case list() | tuple():
            return [_plain(value) for value in fact]
    return fact


_ENDS: Final[Mapping[type[JobFailed], JobState]] = {
    Cancelled: JobState.CANCELLED,
    Expired: JobState.EXPIRED,
}


def outcome_facts(job_id: str, outcome: Images | JobFailed) -> Facts:
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


def entry_facts(entry: LogEntry, created_at: datetime) -> Facts:
    """One thing that happened to a job; ``seconds`` counts from its submission."""
    return {
        "at": moment(entry.at),
        "seconds": (entry.at - created_at).total_seconds(),
        "event": entry.event,
        "text": happened(entry.event, entry.detail),
        "detail": entry.detail,
    }


def event_facts(event: Event) -> Facts:
    """One entry of the event stream; what is about an account has no job."""
    return {
        "id": event.id,
        "job_id": event.job_id or None,
        "at": moment(event.at),
        "event": event.event,
        "text": happened(event.event, event.detail),
        "detail": event.detail,
        "metadata": event.metadata,
    }


def error_facts(kind: str, message: str, code: ExitCode, job_id: str | None = None) -> Facts:
    """The error of a command, for standard error."""
    facts: Facts = {"error": kind, "message": message, "exit_code": int(code)}
    return facts if job_id is None else {**facts, "job_id": job_id}
