"""The calls of the scripts that change jobs. Each script in ``lua/`` documents what it does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Literal

from limner._redis import record_error
from limner.errors import RecordUnreadable
from limner.ledger.messages import Adoption, Grant, Milliseconds, Submitted, moment
from limner.ledger.record import Record, TaskEnd
from limner.ledger.scripts.script import Count, Json, Script, YesOrNo
from limner.status import JobState


def record_of(job_id: str, flat: list[str], read_at: datetime | None = None) -> Record | None:
    """The record in a script's reply; None for an empty reply."""
    if not flat:
        return None
    return Record.from_hash(job_id, dict(zip(flat[::2], flat[1::2], strict=True)), read_at)


def readable(job_id: str, flat: list[str], read_at: datetime) -> Record | RecordUnreadable | None:
    """Variant of :func:`record_of` that returns the error of a damaged record instead of raising it."""
    try:
        return record_of(job_id, flat, read_at)
    except RecordUnreadable as error:
        return error


class WithNews(Script[tuple[bool, str]]):
    """A call that may open or close an account."""

    __slots__ = ()

    def read(self, reply: Any) -> tuple[bool, str]:
        """True if the script made its transition, and the news of the account."""
        done, news = reply
        return bool(done), news


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitCall(Script[Submitted]):
    """The call that submits a job: → queued."""

    NAME: ClassVar[str] = "submit"
    job: str
    request: str
    digest: str
    metadata: str
    priority: int
    key: str | None
    key_ttl: Milliseconds
    lane: str | None
    namespace: str | None
    account: str | None
    expires_in: Milliseconds | None
    starts_in: Milliseconds | None
    celery: str | None
    remember: Milliseconds | None
    too_old: bool
    uncopied: bool
    folder: str | None

    def read(self, reply: Any) -> Submitted:
        """The outcome of the submission."""
        outcome, job_id, *first = reply
        if not first:
            return Submitted(outcome, job_id)
        digest, *times = first
        created, now = (moment(int(time)) for time in times)
        return Submitted(outcome, job_id, digest, created, now)


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginCall(Script[Grant | Literal["stale", "late"]]):
    """The call that begins an attempt: queued → sending."""

    NAME: ClassVar[str] = "begin"
    job: str
    lease: int
    token: str
    epoch: str | None
    moves: int
    attempts: int
    send_lease: Milliseconds
    store_lease: Milliseconds
    deadline: Milliseconds
    prices: Json | None
    caps: Json | None

    def read(self, reply: Any) -> Grant | Literal["stale", "late"]:
        """The grant, or the reason why there is none."""
        answer, *grant = reply
        return Grant(*grant) if answer == "granted" else answer


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedCall(Script[tuple[Adoption, str]]):
    """The call that records an accepted attempt: sending, in_doubt, queued → generating."""

    NAME: ClassVar[str] = "accepted"
    job: str
    attempt: int
    task_id: str
    delay: Milliseconds

    def read(self, reply: Any) -> tuple[Adoption, str]:
        """The outcome of the adoption, and the news of the account."""
        outcome, news = reply
        return Adoption(outcome), news


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptCall(Script[Adoption]):
    """The call that adopts a task named by a callback or a person, in any state."""

    NAME: ClassVar[str] = "adopt"
    job: str
    attempt: int
    task_id: str
    by: Literal["callback", "person"]

    def read(self, reply: Any) -> Adoption:
        """The outcome of the adoption."""
        return Adoption(reply)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenCall(Script[Adoption]):
    """The call that records an attempt as accepted without the id of its task, in any state."""

    NAME: ClassVar[str] = "proven"
    job: str
    attempt: int

    def read(self, reply: Any) -> Adoption:
        """The outcome for the attempt."""
        return Adoption(reply)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryCall(WithNews):
    """The call that queues a refused attempt's job again: sending → queued."""

    NAME: ClassVar[str] = "retry"
    job: str
    attempt: int
    error: Json
    delay: Milliseconds
    pause: Json | None
    uncounted: Milliseconds | None
    unsent: bool
    doubtful: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DoubtCall(WithNews):
    """The call that records an attempt in doubt: sending → in_doubt."""

    NAME: ClassVar[str] = "doubt"
    job: str
    attempt: int
    error: Json
    grace: Milliseconds
    pause: Json | None
    task_ids: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldCall(YesOrNo):
    """The call that leaves a doubt to a person: in_doubt stays in_doubt."""

    NAME: ClassVar[str] = "hold"
    job: str
    lease: int
    delay: Milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class ResubmitCall(Count):
    """The call that sends a job in doubt again: in_doubt → queued; the number of resubmissions."""

    NAME: ClassVar[str] = "resubmit"
    job: str
    lease: int | None
    attempt: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginPollsCall(Script[list[Record | RecordUnreadable | None]]):
    """The call that begins polls, of jobs that are generating or have ended with an open task."""

    NAME: ClassVar[str] = "begin_polls"
    polls: Sequence[tuple[str, int]]
    poll_lease: Milliseconds

    def read(self, reply: Any) -> list[Record | RecordUnreadable | None]:
        """One entry for each poll: the record if the poll may be made, None if not, or an error."""
        now, records = reply
        return [readable(poll[0], flat, moment(now)) for poll, flat in zip(self.polls, records, strict=True)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportPollsCall(Script[tuple[list[TaskEnd | RecordUnreadable], list[str]]]):
    """The call that reports polls: generating → succeeded, failed, in_doubt, queued, or no change."""

    NAME: ClassVar[str] = "report_polls"
    reports: Sequence[Mapping[str, Any]]
    store_lease: Milliseconds

    def read(self, reply: Any) -> tuple[list[TaskEnd | RecordUnreadable], list[str]]:
        """One answer for each report, and the news of the accounts."""
        now, answers = reply
        ends = [
            self._answer(report, moment(now), *answer[:2])
            for report, answer in zip(self.reports, answers, strict=True)
        ]
        return ends, [news for _, _, *told in answers for news in told]

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
class FailCall(Script[tuple[Record | None, str]]):
    """The call that fails a job: any state of ``come_from`` → failed."""

    NAME: ClassVar[str] = "fail"
    job: str
    outcome: str
    come_from: Json
    lease: int | None
    attempt: int | None
    refused: bool
    pause: Json | None
    store_lease: Milliseconds

    def read(self, reply: Any) -> tuple[Record | None, str]:
        """The record after the end, None if the job has not ended by this; and the news of the account."""
        record, news = reply
        return record_of(self.job, record), news


@dataclass(frozen=True, slots=True, kw_only=True)
class RereadCall(Count):
    """The call that has the ended tasks of a job polled again; the number of them, -1 for an unknown job."""

    NAME: ClassVar[str] = "reread"
    job: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewCall(YesOrNo):
    """The call that renews the permit of an attempt whose request is about to go out."""

    NAME: ClassVar[str] = "renew"
    job: str
    attempt: int
    token: str
    send_lease: Milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelCall(Script[JobState | None]):
    """The call that cancels a job: any state that has not ended → cancelled."""

    NAME: ClassVar[str] = "cancel"
    job: str
    unsent: str
    sent: str
    store_lease: Milliseconds

    def read(self, reply: Any) -> JobState | None:
        """The state that the job was in; None for an unknown job."""
        return JobState(reply) if reply else None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetApartCall(YesOrNo):
    """The call that sets a job apart whose record a worker cannot read."""

    NAME: ClassVar[str] = "set_apart"
    job: str
    fault: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PutBackCall(YesOrNo):
    """The call that has a job tried again that was set apart, or drops it."""

    NAME: ClassVar[str] = "put_back"
    job: str
    drop: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCall(YesOrNo):
    """The call that marks the result of an end as stored."""

    NAME: ClassVar[str] = "stored"
    job: str
    finished: Milliseconds
    copied: bool
    ttl: Milliseconds
    follow: Milliseconds
