"""Records of jobs, and the views of them that producers and operators get."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, Literal, Self

from limner.connection import record_error
from limner.errors import Charged, JobFailed, RecordUnreadable
from limner.layout.constants import MAIN, VERSION
from limner.models import Images


class JobState(StrEnum):
    """The state of a job."""

    QUEUED = "queued"
    """It waits for its turn: for quota, for a back-off to pass, for a pause to end."""
    SENDING = "sending"
    """An attempt is on record and its request may be on the wire."""
    IN_DOUBT = "in_doubt"
    """It is not known whether the provider accepted the attempt."""
    GENERATING = "generating"
    """The provider works on it, under a task id that is known."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    """It was not sent within its ``expires_in`` seconds, and costs nothing."""

    @property
    def ended(self) -> bool:
        """True if the job is over."""
        return self in _ENDED


_ENDED = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED})


_TOKEN: Final = "token:"  # noqa: S105 - the start of field names


def _time(milliseconds: str | None) -> datetime | None:
    return datetime.fromtimestamp(int(milliseconds) / 1000, UTC) if milliseconds else None


class TaskState(StrEnum):
    """The state of a task of the provider, as far as it is known."""

    OPEN = "open"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    LOST = "lost"
    """It was never seen, is not this job's, or did not end for as long as anybody looked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A task of the provider that belongs to a job. A job has more than one only if it was paid for twice."""

    task_id: str
    attempt: int
    """The attempt that made it, counting from 1."""
    state: TaskState
    confirmed: bool
    """The provider itself has named it, in an answer to its request or to a look, not only a callback."""
    credits: Decimal | None
    urls: tuple[str, ...]
    """The images, if they are not the job's result."""
    known_at: datetime | None = None
    """When it was first named."""
    account: str = MAIN
    """The account that has paid for it, and whose key reads it."""

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """The task that the ledger keeps so."""
        spent = stored.get("credits")
        return cls(
            task_id=stored["id"],
            attempt=stored["attempt"],
            state=TaskState(stored["state"]),
            confirmed=bool(stored.get("sure")),
            credits=None if spent is None else Decimal(spent),
            urls=tuple(stored.get("urls") or ()),
            known_at=_time(str(int(stored["at"]))) if "at" in stored else None,
            account=stored.get("account", MAIN),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A job's record. Times are UTC; ``lease``, ``attempt`` and ``looks`` count from 1, 0 is none yet."""

    job_id: str
    state: JobState
    request: dict[str, Any]
    metadata: dict[str, Any]
    priority: int
    lease: int
    attempt: int
    tries: int
    looks: int
    task_id: str | None
    """The task that is looked at, or whose images are the result."""
    tasks: tuple[Task, ...]
    """All tasks that are known, the next one to be looked at first."""
    tokens: Mapping[int, str] = field(repr=False)
    """The secret of each attempt."""
    resubmitted: int
    """How often it was sent again although it was in doubt."""
    doubtful: int | None
    """The attempt of which it is not known whether it was accepted."""
    over_budget: str | None
    """The cap that has no money left for the job, which waits: ``day``, or ``lane:`` and its name."""
    lane: str | None
    account: str | None
    """The account of the last attempt; before one, the account that the job names, if it does."""
    expires_at: datetime | None
    """When it is not sent any more."""
    faulted: bool
    """Whether an attempt met a server fault, behind which a task may have been made (contract 1.6)."""
    created_at: datetime
    sent_at: datetime | None
    accepted_at: datetime | None
    hinted_at: datetime | None
    """When a callback last said that there is something to see."""
    held_at: datetime | None
    """Since when a person is to decide about the doubt."""
    deadline: datetime | None
    finished_at: datetime | None
    last_error: dict[str, Any] | None
    outcome: dict[str, Any] | None
    read_at: datetime | None = None
    """When the record was read, by the clock that wrote its times."""

    @classmethod
    def from_hash(cls, job_id: str, fields: Mapping[str, str], read_at: datetime | None = None) -> Self:
        """The record that a Redis hash holds. Raises RecordUnreadable, RecordTooNew for a newer version's."""
        version = fields.get("v", "0")
        if version != str(VERSION):
            age = "NEWER" if version.isdecimal() and int(version) > VERSION else "OLDER"
            error = record_error(f"{age} job {job_id} has version {version}, known is {VERSION}")
            assert error is not None  # noqa: S101 - it begins as one
            raise error
        try:
            return cls._of(job_id, fields, read_at)
        except (AttributeError, KeyError, TypeError, ValueError, ArithmeticError) as error:
            raise RecordUnreadable(f"the record of job {job_id} is damaged: {error!r}") from error

    @classmethod
    def _of(cls, job_id: str, fields: Mapping[str, str], read_at: datetime | None) -> Self:
        created = _time(fields["created"])
        assert created is not None  # noqa: S101 - written with the record
        return cls(
            job_id=job_id,
            state=JobState(fields["state"]),
            request=json.loads(fields["request"]),
            metadata=json.loads(fields["metadata"]),
            priority=int(fields["priority"]),
            lease=int(fields["lease"]),
            attempt=int(fields["attempt"]),
            tries=int(fields["attempt"]) - int(fields.get("pardoned", 0)),
            looks=int(fields["looks"]),
            task_id=fields.get("task_id"),
            tasks=tuple(Task.from_json(task) for task in json.loads(fields.get("tasks", "[]"))),
            tokens={
                int(name.removeprefix(_TOKEN)): token
                for name, token in fields.items()
                if name.startswith(_TOKEN)
            },
            resubmitted=int(fields.get("resubmitted", 0)),
            doubtful=int(fields["doubtful"]) if "doubtful" in fields else None,
            over_budget=fields.get("parked"),
            lane=fields.get("lane"),
            account=fields.get("account") or fields.get("pinned"),
            expires_at=_time(fields.get("expires")),
            faulted="faulted" in fields,
            created_at=created,
            sent_at=_time(fields.get("sent")),
            accepted_at=_time(fields.get("accepted")),
            hinted_at=_time(fields.get("hinted")),
            held_at=_time(fields.get("held")),
            deadline=_time(fields.get("deadline")),
            finished_at=_time(fields.get("finished")),
            last_error=json.loads(fields["last_error"]) if "last_error" in fields else None,
            outcome=json.loads(fields["outcome"]) if "outcome" in fields else None,
            read_at=read_at,
        )

    @property
    def open_task(self) -> Task | None:
        """The task that is looked at next, if any is still open."""
        return next((task for task in self.tasks if task.state is TaskState.OPEN), None)

    @property
    def failure(self) -> JobFailed | None:
        """The error that the job ended in, if it did, with what it shares with its job."""
        told = (self.outcome or {}).get("error")
        if not told:
            return None
        error = JobFailed.from_json(told)
        shared = {"job_id": self.job_id, "task_id": self.task_id, "attempts": self.tries}
        known: dict[str, Any] = {
            name: fact for name, fact in shared.items() if fact and name not in error.details
        }
        if (charged := self._charged(error.charged)) != error.charged:
            known["charged"] = charged
        return error.with_details(**known)

    def _charged(self, of_the_end: Charged) -> Charged:
        """Decide whether the job cost anything. No other function does.

        It starts from what the error of its end says; the job's attempts and tasks can override that, also
        after the end.
        """
        if of_the_end == "yes" or any(
            task.state is TaskState.SUCCEEDED or task.credits for task in self.tasks
        ):
            return "yes"
        uncertain = self.doubtful or self.resubmitted or self.faulted
        if self.tasks and not uncertain and all(task.state is TaskState.FAILED for task in self.tasks):
            return "no"
        if any(task.state is TaskState.OPEN for task in self.tasks):
            return "maybe"
        # The task that is known may be the one that a server fault hid.
        if self.resubmitted or self.doubtful or (self.faulted and not self.task_id):
            return "maybe"
        return of_the_end

    def attempt_of(self, callback_url: str) -> int | None:
        """The attempt whose secret that URL holds."""
        return next((attempt for attempt, token in self.tokens.items() if token in callback_url), None)

    def images(self) -> Images:
        """The result of a job that has succeeded."""
        made = self.outcome or {}
        assert self.task_id is not None  # noqa: S101 - it has succeeded by it
        assert self.finished_at is not None  # noqa: S101 - it has ended
        return self.images_of(self.task_id, made.get("urls", ()), made.get("credits"), self.finished_at)

    def images_of(
        self, task_id: str, urls: Sequence[str], spent: Decimal | str | None, finished_at: datetime
    ) -> Images:
        """The result of the job if that task has made these images."""
        return Images.model_validate(
            {
                "job_id": self.job_id,
                "task_id": task_id,
                "urls": list(urls),
                "credits": spent,
                "seed": self.request.get("seed"),
                "parameters": self.request,
                "metadata": self.metadata,
                "created_at": self.created_at,
                "sent_at": self.sent_at,
                "finished_at": finished_at,
            }
        )


@dataclass(frozen=True, slots=True)
class TaskEnd:
    """The outcome of a look for its job."""

    what: Literal["ended", "late", "noted", "held", "stale"]
    """It ended the job; a job that had failed has succeeded by it; it is noted; the job is looked at again;
    or nothing has happened, because the step was stale or the end was known."""
    at: datetime | None
    """When the job ended, if this is what ended it."""
    record: Record | None = None
    """The record of an end whose result is to be stored: the first, another, or one whose costs are known
    now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStatus:
    """A job as its producer sees it. Times are UTC."""

    job_id: str
    state: JobState
    position: int | None
    """The place in the line for quota, 1 being next; None when the job does not stand in it."""
    attempts: int
    looks: int
    task_id: str | None
    created_at: datetime
    sent_at: datetime | None
    finished_at: datetime | None
    tasks: tuple[Task, ...]
    """All of the provider's tasks that are known for the job: more than one if it was paid for twice."""
    resubmitted: int
    """How often it was sent again although an attempt was in doubt."""
    held: bool
    """Whether a person is to decide about an attempt in doubt: ``python -m limner resolve``."""
    next_step_at: datetime | None
    """When something happens to the job next, if that is a matter of time."""
    over_budget: str | None
    """The cap that has no money left for the job, which waits: ``day``, or ``lane:`` and its name."""
    lane: str | None
    account: str | None
    """The account of the last attempt; before one, the account that the job names, if it does."""
    expires_at: datetime | None
    """When it is not sent any more."""
    starts_at: datetime | None
    """When a queued job is likely to be sent, from its turn and the quota. None once it was, and if nobody
    can tell: the account is paused without an end, a cap is reached, or no worker has started. What lies
    behind ``expires_at`` is not going to happen."""
    ends_at: datetime | None
    """When the job is likely to end; None once it has, if ``starts_at`` is not known, or in doubt."""
    paused: str | None
    """Why it is not sent now, if all accounts that may take it are closed: the causes of their pauses, or
    ``no_worker``."""
    last_error: str | None
    metadata: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """An attempt of which it is not known whether the provider accepted it. Times are UTC."""

    job_id: str
    state: JobState
    """``IN_DOUBT``; ``GENERATING`` while a look is to confirm a task; or the end of a job in doubt."""
    held: bool
    """Whether the job waits for a person."""
    attempt: int
    sent_at: datetime | None
    """When it was sent; None if another attempt has been sent since."""
    reason: str
    request: dict[str, Any]
    """What was asked for: the provider's own log shows the prompt and the time."""
    metadata: dict[str, Any]

    @classmethod
    def of(cls, record: Record) -> Self:
        """The doubt on a job's record."""
        error = record.last_error or {}
        return cls(
            job_id=record.job_id,
            state=record.state,
            held=record.held_at is not None,
            attempt=record.doubtful or record.attempt,
            sent_at=record.sent_at if record.doubtful in (None, record.attempt) else None,
            reason=error.get("message") or error.get("cause") or "no certain answer",
            request=record.request,
            metadata=record.metadata,
        )


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One thing that happened to a job."""

    at: datetime
    event: str
    detail: dict[str, Any]

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The entry that a transition wrote."""
        entry = json.loads(text)
        at, event = entry.pop("at"), entry.pop("event")
        return cls(datetime.fromtimestamp(at / 1000, UTC), event, entry)


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of the event stream; ``id`` is where to go on reading."""

    id: str
    job_id: str
    event: str
    at: datetime
    detail: dict[str, Any]
    metadata: dict[str, Any]

    @classmethod
    def from_stream(cls, entry_id: str, fields: Mapping[str, str]) -> Self:
        """The event that a stream entry holds."""
        entry = LogEntry.from_json(fields["detail"])
        return cls(
            entry_id, fields["job"], entry.event, entry.at, entry.detail, json.loads(fields["metadata"])
        )
