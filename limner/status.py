"""Data for producers and operators: states, statuses, doubts, and the events of a job."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from limner.models import ImageFile


class JobState(StrEnum):
    """The state of a job."""

    QUEUED = "queued"
    """It waits for its turn: for quota, for a back-off to pass, for a pause to end."""
    SENDING = "sending"
    """An attempt is on record and its request may be on the wire."""
    IN_DOUBT = "in_doubt"
    """The provider may or may not have accepted the attempt."""
    GENERATING = "generating"
    """The provider works on it, under a task id that is known."""
    COPYING = "copying"
    """Its images are there, and are being copied to the fleet's storage."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    """It was not sent within its ``expires_in`` seconds, and costs nothing."""

    @property
    def ended(self) -> bool:
        """True if the job has ended."""
        return self in _ENDED


_ENDED = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED})


class TaskState(StrEnum):
    """The state of a task of the provider, as far as it is known."""

    OPEN = "open"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    LOST = "lost"
    """It was never seen, is not this job's, or did not end for as long as anybody polled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A task of the provider that belongs to a job. A job has more than one only if it was paid for twice."""

    task_id: str
    attempt: int
    """The attempt that made it, counting from 1."""
    state: TaskState
    confirmed: bool
    """The provider itself has named it, in an answer to its request or to a poll, not only a callback."""
    credits: Decimal | None
    urls: tuple[str, ...]
    """The images, if they are not the job's result."""
    known_at: datetime | None
    """The time at which it was first named."""
    account: str
    """The account that has paid for it, and whose key reads it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """The copy of one paid image in the fleet's storage."""

    number: int
    """Its number among the job's images, counting from 1."""
    task_id: str
    url: str
    """The provider's link."""
    stored: bool
    file: ImageFile | None
    """The object that the image is, or is about to become."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingCopy:
    """A job with images that are not copied. Times are UTC."""

    job_id: str
    failed: bool
    """True if they are not tried any more."""
    since: datetime
    """The time at which the last of its images came, or a person had them tried again."""
    tries: int
    """The tries that have failed since then."""
    at: datetime
    """The time of the next try, or of giving up."""
    last_error: str | None
    """The reason of the last failure, if the job's log still has it."""
    namespace: str = ""
    """The namespace of its producer; empty without one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStatus:
    """A job as its producer sees it. Times are UTC."""

    job_id: str
    state: JobState
    position: int | None
    """The place in the queue for quota, 1 being next; None when the job does not stand in it."""
    attempts: int
    polls: int
    task_id: str | None
    created_at: datetime
    sent_at: datetime | None
    finished_at: datetime | None
    tasks: tuple[Task, ...]
    """All of the provider's tasks that are known for the job: more than one if it was paid for twice."""
    resubmitted: int
    """The number of times that it was sent again although an attempt was in doubt."""
    copies: tuple[Copy, ...]
    """The paid images that are to be copied, or are copied; those of all tasks."""
    copy_tries: int
    """The tries to copy them that have failed so far."""
    next_copy_at: datetime | None
    """The time of the next try to copy them; None if nothing is left, or they are not tried any more."""
    wrong_ids: int
    """The number of task ids of callbacks that were wrong, or could not be confirmed."""
    held: bool
    """True if a person is to decide about an attempt in doubt: ``python -m limner resolve``."""
    next_step_at: datetime | None
    """The time of the job's next step, if that is a matter of time."""
    over_budget: str | None
    """The cap that has no money left for the job, which waits: ``day``, or ``lane:`` and its name."""
    lane: str | None
    account: str | None
    """The account of the last attempt; before one, the account that the job names, if it does."""
    expires_at: datetime | None
    """The time after which it is not sent."""
    starts_at: datetime | None
    """The time at which a queued job is likely to be sent, from its turn and the quota. None once it was
    sent, and if nobody can tell: the account is paused without an end, a cap is reached, or no worker has
    started. If it lies after ``expires_at``, the job expires instead."""
    ends_at: datetime | None
    """The likely end of the job; None once it has ended, if ``starts_at`` is unknown, or in doubt."""
    paused: str | None
    """The reason for not sending it now, if all accounts that may take it are closed: the causes of their
    pauses, or ``no_worker``."""
    last_error: str | None
    faulted: int
    """The attempts that met a server fault; the provider may have made, and charged, a task for each."""
    raw: str | None
    """The beginning of the provider's answer, if it was not understood."""
    request: dict[str, Any]
    """The parameters that were asked for."""
    metadata: dict[str, Any]
    namespace: str = ""
    """The namespace of its producer; empty without one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """An attempt that the provider may or may not have accepted. Times are UTC."""

    job_id: str
    state: JobState
    """``IN_DOUBT``; ``GENERATING`` while a poll is to confirm a task; or the end of a job in doubt."""
    held: bool
    """True if the job waits for a person."""
    attempt: int
    sent_at: datetime | None
    """The time of sending; None if another attempt has been sent since."""
    reason: str
    request: dict[str, Any]
    """The request: the provider's own log shows the prompt and the time."""
    metadata: dict[str, Any]


@dataclass(frozen=True, slots=True)
class BrokenRecord:
    """A job whose record cannot be read. It is tried again once an hour."""

    job_id: str
    fault: str
    since: datetime
    """The time (UTC) at which the fault was found."""


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Something in the ledger that contradicts itself."""

    kind: str
    """The kind of the contradiction, such as ``in_no_index``."""
    subject: str
    """The job's id, or the name of a key."""
    what: str
    advice: str
    """The advice about it."""
    repaired: bool
    """True if it was repaired now."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A message that no job could be made of, and that was set aside. Times are UTC."""

    id: str
    why: str
    """The kind of the fault, and the fault."""
    at: datetime
    queue: str
    size: int
    """The size of the message in bytes."""
    head: str
    """The beginning of the message, without secrets."""


@dataclass(frozen=True, slots=True)
class UnmatchedCallback:
    """A callback for a job that is not known here. Times are UTC."""

    job_id: str
    task_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One thing that happened to a job."""

    at: datetime
    event: str
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of the event stream; ``id`` is where to go on reading."""

    id: str
    job_id: str
    event: str
    at: datetime
    detail: dict[str, Any]
    metadata: dict[str, Any]
    namespace: str = ""
    """The namespace of the job's producer; empty without one, and of accounts' events."""
