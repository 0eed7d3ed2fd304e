"""Records of jobs, and their views for producers and operators."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, Literal, Self

from limner._redis import record_error
from limner.errors import Charged, JobFailed, RecordUnreadable
from limner.ledger.layout.constants import MAIN, VERSION
from limner.models import ImageFile, Images
from limner.namespaces import lane_named
from limner.status import Copy, Doubt, Event, JobState, LogEntry, Task, TaskState

_TOKEN: Final = "token:"  # noqa: S105 - the start of field names


def _time(milliseconds: str | None) -> datetime | None:
    return datetime.fromtimestamp(int(milliseconds) / 1000, UTC) if milliseconds else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The record of a job. Times are UTC; ``lease``, ``attempt`` and ``polls`` are 0 before the first one."""

    job_id: str
    state: JobState
    request: dict[str, Any]
    metadata: dict[str, Any]
    priority: int
    lease: int
    attempt: int
    tries: int
    polls: int
    task_id: str | None
    """The task that is polled, or whose images are the result."""
    tasks: tuple[Task, ...]
    """The known tasks, beginning with the next one to be polled."""
    tokens: Mapping[int, str] = field(repr=False)
    """The secret of each attempt, which its callback URL holds."""
    resubmitted: int
    """The number of times that the job was sent again while in doubt."""
    doubtful: int | None
    """The attempt in doubt, which the provider may or may not have accepted."""
    proven: int | None
    """The attempt that a callback has proved accepted, without an id of its task that could be read."""
    copies: tuple[Copy, ...]
    """The paid images that are to be copied, or are copied."""
    copied: bool
    """True if the images of the result are copied."""
    uncopied: bool
    """True if the producer does not want its images copied."""
    folder: str | None
    """The folder for its images, under the fleet's prefix."""
    copy_lease: int
    copy_since: datetime | None
    """The time at which the last of its images came, or a person had them tried again."""
    copy_tries: int
    """The tries to copy them that have failed since then."""
    copy_overdue: bool
    """True if it was told that its copies are overdue."""
    wrong_ids: int
    """The number of task ids of callbacks that were wrong, or could not be confirmed."""
    over_budget: str | None
    """The cap that has no money left for the waiting job: ``day``, or ``lane:`` and the lane's name."""
    lane: str | None
    """The lane that the producer named."""
    namespace: str
    account: str | None
    """The account of the last attempt. Before the first attempt, the account that the job names, if any."""
    expires_at: datetime | None
    """The time after which the job is not sent any more."""
    celery: dict[str, Any] | None = field(repr=False)
    """The part of a message that Celery acts on at the job's end (``worker.continuations``)."""
    continued: bool
    """True once Celery's part of the first end is done."""
    faulted: int
    """The attempts that met a server fault; the provider may have made a task for each (contract 1.6)."""
    remade: int
    """The number of times that a task was bought again after one failed from a transient fault."""
    imageless_at: datetime | None
    """The time at which a task first succeeded without an image that can be read."""
    raw: str | None
    """The beginning of the provider's answer, if it was not understood."""
    seen_at: datetime | None
    """The time of the last poll that was answered."""
    created_at: datetime
    sent_at: datetime | None
    accepted_at: datetime | None
    signalled_at: datetime | None
    """The time of the last callback signal."""
    held_at: datetime | None
    """The time since which a person is to decide about the doubt."""
    deadline: datetime | None
    finished_at: datetime | None
    last_error: dict[str, Any] | None
    outcome: dict[str, Any] | None
    read_at: datetime | None = None
    """The time at which the record was read, by the clock that wrote its times."""

    @classmethod
    def from_hash(cls, job_id: str, fields: Mapping[str, str], read_at: datetime | None = None) -> Self:
        """The record in a Redis hash. Raises RecordUnreadable, or RecordTooNew for a newer version."""
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
            tries=int(fields["attempt"]) - int(fields.get("uncounted", 0)),
            polls=int(fields["polls"]),
            task_id=fields.get("task_id"),
            tasks=tuple(_task(task) for task in json.loads(fields.get("tasks", "[]"))),
            tokens={
                int(name.removeprefix(_TOKEN)): token
                for name, token in fields.items()
                if name.startswith(_TOKEN)
            },
            resubmitted=int(fields.get("resubmitted", 0)),
            doubtful=int(fields["doubtful"]) if "doubtful" in fields else None,
            proven=int(fields["proven"]) if "proven" in fields else None,
            copies=_copies(fields.get("copies", "[]")),
            copied="copied" in fields,
            uncopied="uncopied" in fields,
            folder=fields.get("folder"),
            copy_lease=int(fields.get("copy_lease", 0)),
            copy_since=_time(fields.get("copy_since")),
            copy_tries=int(fields.get("copy_tries", 0)),
            copy_overdue="copy_overdue" in fields,
            wrong_ids=int(fields.get("wrong_ids", 0)),
            over_budget=fields.get("over_budget"),
            lane=lane_named(fields.get("lane"), fields.get("namespace", "")),
            namespace=fields.get("namespace", ""),
            account=fields.get("account") or fields.get("pinned"),
            expires_at=_time(fields.get("expires")),
            celery=json.loads(fields["celery"]) if "celery" in fields else None,
            continued="continued" in fields,
            faulted=int(fields.get("faulted", 0)),
            remade=int(fields.get("remade", 0)),
            imageless_at=_time(fields.get("imageless")),
            raw=fields.get("raw"),
            seen_at=_time(fields.get("seen")),
            created_at=created,
            sent_at=_time(fields.get("sent")),
            accepted_at=_time(fields.get("accepted")),
            signalled_at=_time(fields.get("signalled")),
            held_at=_time(fields.get("held")),
            deadline=_time(fields.get("deadline")),
            finished_at=_time(fields.get("finished")),
            last_error=json.loads(fields["last_error"]) if "last_error" in fields else None,
            outcome=json.loads(fields["outcome"]) if "outcome" in fields else None,
            read_at=read_at,
        )

    @property
    def open_task(self) -> Task | None:
        """The open task that is polled next, or None."""
        return next((task for task in self.tasks if task.state is TaskState.OPEN), None)

    @property
    def unnamed(self) -> bool:
        """True if an attempt was accepted for certain, and it is not certain which task it has made."""
        return self.proven is not None and not any(
            task.confirmed and task.attempt == self.proven for task in self.tasks
        )

    @property
    def failure(self) -> JobFailed | None:
        """The error that the job ended in, or None, with the details that its record adds."""
        stored = (self.outcome or {}).get("error")
        if not stored:
            return None
        error = JobFailed.from_json(stored)
        shared = {"job_id": self.job_id, "task_id": self.task_id, "attempts": self.tries}
        known: dict[str, Any] = {
            name: fact for name, fact in shared.items() if fact and name not in error.details
        }
        if (charged := self._charged(error.charged)) != error.charged:
            known["charged"] = charged
        return error.with_details(**known)

    def _charged(self, of_the_end: Charged) -> Charged:
        """Decide whether the job cost anything. No other function does.

        The decision starts from the error of the end. The job's attempts and tasks can override it, even
        after the end.
        """
        if of_the_end == "yes" or any(
            task.state is TaskState.SUCCEEDED or task.credits for task in self.tasks
        ):
            return "yes"
        uncertain = self.doubtful or self.resubmitted or self.faulted or self.unnamed
        if self.tasks and not uncertain and all(task.state is TaskState.FAILED for task in self.tasks):
            return "no"
        if any(task.state is TaskState.OPEN for task in self.tasks):
            return "maybe"
        # The known task may be the one that the server fault hid.
        if self.resubmitted or self.doubtful or self.unnamed or (self.faulted and not self.task_id):
            return "maybe"
        return of_the_end

    def attempt_of(self, callback_url: str) -> int | None:
        """The attempt whose secret is in that URL, or None."""
        return next((attempt for attempt, token in self.tokens.items() if token in callback_url), None)

    def images(self) -> Images:
        """The images of a job that has succeeded."""
        made = self.outcome or {}
        assert self.task_id is not None  # noqa: S101 - it has succeeded by it
        assert self.finished_at is not None  # noqa: S101 - it has ended
        return self.images_of(self.task_id, made.get("urls", ()), made.get("credits"), self.finished_at)

    def images_of(
        self, task_id: str, urls: Sequence[str], spent: Decimal | str | None, finished_at: datetime
    ) -> Images:
        """The result that the job has if that task made these images."""
        copies = [copy for copy in self.copies if copy.task_id == task_id]
        return Images.model_validate(
            {
                "files": [copy.file for copy in copies if copy.stored],
                "copied": bool(copies) and all(copy.stored for copy in copies),
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
    """The outcome of a poll for its job."""

    what: Literal["ended", "late", "copying", "noted", "held", "stale"]
    """``ended``: the poll ended the job. ``copying``: the job has its images, and waits for their copies.
    ``late``: a job that had failed or expired has succeeded by it.
    ``noted``: it is on record and the job's state stays. ``held``: the job is polled again. ``stale``:
    nothing happened, because the step was stale or the end was known already."""
    at: datetime | None
    """The time of the job's end, if this poll ended it."""
    record: Record | None = None
    """The record, if a worker must store its result: the job has ended, has another end, or its cost became
    known."""


def _task(stored: Mapping[str, Any]) -> Task:
    spent = stored.get("credits")
    return Task(
        task_id=stored["id"],
        attempt=stored["attempt"],
        state=TaskState(stored["state"]),
        confirmed=bool(stored.get("sure")),
        credits=None if spent is None else Decimal(spent),
        urls=tuple(stored.get("urls") or ()),
        known_at=_time(str(int(stored["at"]))) if "at" in stored else None,
        account=stored.get("account", MAIN),
    )


def _copies(text: str) -> tuple[Copy, ...]:
    return tuple(
        Copy(
            number=number,
            task_id=copy["task"],
            url=copy["url"],
            stored=bool(copy.get("stored")),
            file=ImageFile.model_validate(copy["file"]) if "file" in copy else None,
        )
        for number, copy in enumerate(json.loads(text), start=1)
    )


def doubt_of(record: Record) -> Doubt:
    """The doubt about a job, from its record."""
    error = record.last_error or {}
    if record.unnamed:
        error = {"message": "accepted, id unknown: look in the log of the provider"}
    return Doubt(
        job_id=record.job_id,
        state=record.state,
        held=record.held_at is not None,
        attempt=record.doubtful or record.attempt,
        sent_at=record.sent_at if record.doubtful in (None, record.attempt) else None,
        reason=error.get("message") or error.get("cause") or "no certain answer",
        request=record.request,
        metadata=record.metadata,
    )


def log_entry(text: str) -> LogEntry:
    """The log entry in a text that a transition wrote."""
    entry = json.loads(text)
    at, event = entry.pop("at"), entry.pop("event")
    return LogEntry(datetime.fromtimestamp(at / 1000, UTC), event, entry)


def stream_event(entry_id: str, fields: Mapping[str, str]) -> Event:
    """The event in an entry of the stream."""
    entry = log_entry(fields["detail"])
    return Event(
        entry_id,
        fields["job"],
        entry.event,
        entry.at,
        entry.detail,
        json.loads(fields["metadata"]),
        fields["namespace"],
    )
