"""The scripts that change jobs, as typed calls; ``lua/`` documents what they do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Literal

from limner._connection import record_error
from limner.errors import RecordUnreadable
from limner.ledger.messages import Adoption, Grant, Milliseconds, Submitted, moment
from limner.ledger.record import Record, TaskEnd
from limner.ledger.scripts.script import Json, Script, YesOrNo
from limner.status import JobState


def record_of(job_id: str, flat: list[str], read_at: datetime | None = None) -> Record | None:
    """The record that a script gave back; None if it gave none."""
    if not flat:
        return None
    return Record.from_hash(job_id, dict(zip(flat[::2], flat[1::2], strict=True)), read_at)


def readable(job_id: str, flat: list[str], read_at: datetime) -> Record | RecordUnreadable | None:
    """Like :func:`record_of`, but returns the error of a damaged record."""
    try:
        return record_of(job_id, flat, read_at)
    except RecordUnreadable as error:
        return error


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitCall(Script[Submitted]):
    """→ queued."""

    NAME: ClassVar[str] = "submit"
    job: str
    request: str
    digest: str
    metadata: str
    priority: int
    key: str | None
    key_ttl: Milliseconds
    lane: str | None
    account: str | None
    expires_in: Milliseconds | None

    def read(self, reply: Any) -> Submitted:
        """The submission's outcome."""
        return Submitted(*reply)


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginCall(Script[Grant | Literal["stale", "late"]]):
    """queued → sending."""

    NAME: ClassVar[str] = "begin"
    job: str
    lease: int
    token: str
    send_lease: Milliseconds
    store_lease: Milliseconds
    deadline: Milliseconds
    prices: Json | None
    caps: Json | None

    def read(self, reply: Any) -> Grant | Literal["stale", "late"]:
        """The grant, or why there is none."""
        answer, *grant = reply
        return Grant(*grant) if answer == "granted" else answer


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedCall(Script[Adoption]):
    """sending, in_doubt, queued → generating."""

    NAME: ClassVar[str] = "accepted"
    job: str
    attempt: int
    task_id: str
    delay: Milliseconds

    def read(self, reply: Any) -> Adoption:
        """The adoption's outcome."""
        return Adoption(reply)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptCall(Script[Adoption]):
    """Any state: follow a task that a callback or a person names."""

    NAME: ClassVar[str] = "adopt"
    job: str
    attempt: int
    task_id: str
    by: Literal["callback", "person"]

    def read(self, reply: Any) -> Adoption:
        """The adoption's outcome."""
        return Adoption(reply)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryCall(YesOrNo):
    """sending → queued."""

    NAME: ClassVar[str] = "retry"
    job: str
    attempt: int
    error: Json
    delay: Milliseconds
    pause: Json | None
    uncounted: Milliseconds | None
    unsent: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DoubtCall(YesOrNo):
    """sending → in_doubt."""

    NAME: ClassVar[str] = "doubt"
    job: str
    attempt: int
    error: Json
    grace: Milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldCall(YesOrNo):
    """in_doubt, for a person."""

    NAME: ClassVar[str] = "hold"
    job: str
    lease: int
    delay: Milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class ResubmitCall(Script[int]):
    """in_doubt → queued."""

    NAME: ClassVar[str] = "resubmit"
    job: str
    lease: int | None
    attempt: int | None

    def read(self, reply: Any) -> int:
        """The number of resubmissions."""
        return int(reply)


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginPollsCall(Script[list[Record | RecordUnreadable | None]]):
    """generating, or ended with an open task."""

    NAME: ClassVar[str] = "begin_polls"
    polls: Sequence[tuple[str, int]]
    poll_lease: Milliseconds

    def read(self, reply: Any) -> list[Record | RecordUnreadable | None]:
        """The records of the jobs whose polls may be made."""
        now, records = reply
        return [readable(poll[0], flat, moment(now)) for poll, flat in zip(self.polls, records, strict=True)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportPollsCall(Script[list[TaskEnd | RecordUnreadable]]):
    """generating → succeeded, failed, in_doubt, queued; or none of these."""

    NAME: ClassVar[str] = "report_polls"
    reports: Sequence[Mapping[str, Any]]
    store_lease: Milliseconds

    def read(self, reply: Any) -> list[TaskEnd | RecordUnreadable]:
        """One answer for each report."""
        now, answers = reply
        return [
            self._answer(report, moment(now), *answer)
            for report, answer in zip(self.reports, answers, strict=True)
        ]

    @staticmethod
    def _answer(
        report: Mapping[str, Any], now: datetime, what: Any, flat: list[str]
    ) -> TaskEnd | RecordUnreadable:
        if error := record_error(what):
            return error
        record = readable(report["job"], flat, now)
        if isinstance(record, RecordUnreadable):
            return record
        at = (record.finished_at if record else now) if what in ("ended", "late") else None
        return TaskEnd(what, at, record)


@dataclass(frozen=True, slots=True, kw_only=True)
class FailCall(Script[Record | None]):
    """Any of ``come_from`` → failed."""

    NAME: ClassVar[str] = "fail"
    job: str
    outcome: str
    come_from: Json
    lease: int | None
    attempt: int | None
    refused: bool
    unsent: bool
    store_lease: Milliseconds

    def read(self, reply: Any) -> Record | None:
        """The record of the end."""
        return record_of(self.job, reply)


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelCall(Script[JobState | None]):
    """Any state that has not ended → cancelled."""

    NAME: ClassVar[str] = "cancel"
    job: str
    unsent: str
    sent: str
    store_lease: Milliseconds

    def read(self, reply: Any) -> JobState | None:
        """The state before; None for an unknown job."""
        return JobState(reply) if reply else None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCall(YesOrNo):
    """Marks an end as stored."""

    NAME: ClassVar[str] = "stored"
    job: str
    finished: Milliseconds
    ttl: Milliseconds
    follow: Milliseconds
