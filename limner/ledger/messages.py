"""The terms in which the ledger is spoken to: what may be asked of it, and what it answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final, Literal

from limner.ledger.layout.constants import MAIN as MAIN
from limner.options import SubmitOptions

Milliseconds = int


def to_ms(seconds: float) -> Milliseconds:
    """A duration or time as the scripts count it."""
    return round(seconds * 1000)


def to_micro(amount: Decimal) -> int:
    """Credits as the scripts count them, in millionths."""
    return round(amount * 1_000_000)


def moment(milliseconds: Milliseconds) -> datetime:
    """A time of the scripts."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


Step = Literal["create", "poll", "recover", "credits", "copy"]


@dataclass(frozen=True, slots=True)
class Leases:
    """For how long a step belongs to one worker, in seconds."""

    step: float = 20.0
    """From the claim until the step begins: a message may be lost, or wait in the broker."""
    poll: float = 30.0
    """From the claim of a poll until its answer is on record; longer than a request can take."""
    send: float = 30.0
    """From the begin of an attempt until its outcome is on record; longer than a request can take."""
    copy: float = 20.0
    """From one sign of life of a step that copies images to the next."""
    store: float = 10.0
    """From the end of a job until its result lies in the result backend."""


@dataclass(frozen=True, slots=True)
class Quota:
    """The quota of an account: at most ``creates`` attempts in any ``creates_span`` seconds, and so on."""

    creates: int
    creates_span: float
    polls: int
    polls_span: float
    max_in_flight: int
    margin: float = 0.0
    """By how many seconds the windows are widened at first; how much is needed is learned."""
    account: str = MAIN
    key: str = ""
    """Names the account's key without telling it: a pause for a refused key ends with another one."""


@dataclass(frozen=True, slots=True)
class Caps:
    """The credits that may be spent on a day (UTC), in all and by lane; None is unlimited."""

    day: Decimal | None = None
    lane: Decimal | None = None
    """Of each lane that ``lanes`` does not name."""
    lanes: Mapping[str, Decimal] = field(default_factory=dict)
    refuse: bool = False
    """True if a job that would break a cap fails with OverBudget; else it waits."""


@dataclass(frozen=True, slots=True)
class Money:
    """The prices of attempts, in credits per image by rendering speed, and the caps."""

    prices: Mapping[str, Decimal] = field(default_factory=dict)
    caps: Caps | None = None


FREE: Final = Money()
"""Without prices, nothing is held, and no cap is kept."""


@dataclass(frozen=True, slots=True)
class Closing:
    """The cause of closing an account, and the first and the longest pause, in seconds."""

    cause: str
    first: float
    longest: float
    at_least: float = 0.0
    """The time that the provider has asked for."""
    key: str | None = None
    """The key that is refused; see :attr:`Quota.key`."""
    credits: bool = False
    """True if credits are missing, so that the provider's balance ends it."""
    after: int | None = None
    """The number of jobs in a row that must meet the cause before the account is closed; None: one."""


@dataclass(frozen=True, slots=True)
class Submission:
    """A job about to be written.

    ``request`` and ``celery`` are JSON texts, ``key`` a digest with its namespace.
    """

    job_id: str
    request: str
    digest: str
    options: SubmitOptions = field(default_factory=SubmitOptions)
    key: str | None = None
    key_ttl: float = 0.0
    starts_in: float | None = None
    """The seconds that pass before it takes its turn."""
    celery: str | None = None
    """The part of a message that Celery acts on at the job's end (``worker.continuations``)."""
    namespace: str = ""
    """The namespace of the producer; empty without one."""
    remember: float | None = None
    """The seconds for which the id is remembered, because a message with it may come again."""
    too_old: bool = False
    """True if the message is older than that."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """The outcome of a submission: ``conflict`` if the id or the key belongs to another request.

    ``gone`` is the outcome for a message whose job's record has expired, and ``too_old`` for one that is too
    old to know whether there was a job. With ``no_account``, ``job_id`` has the names of the accounts that
    there are.
    """

    outcome: Literal["created", "known", "conflict", "gone", "too_old", "no_account"]
    job_id: str
    digest: str = ""
    """The digest of the first job's request, after ``conflict`` and ``gone``."""
    created_at: datetime | None = None
    """The time of that job's submission."""
    now: datetime | None = None
    """The time of this submission, by the same clock."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A step that the caller may take until its lease expires."""

    job_id: str
    """The job's id; of a step "credits", the account's name."""
    step: Step
    lease: int


@dataclass(frozen=True, slots=True)
class Loss:
    """A loss of data of the ledger, and what this worker has done about it."""

    what: Literal["rolled_back", "emptied", "known"]
    """``known`` if another worker has found it before."""
    restored: int
    """The number of lost attempts that are on record again."""
    unknown: int
    """The number of tasks of jobs that are gone; they are kept with the unmatched callbacks."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """The steps granted, and the seconds until there is more to do."""

    steps: list[Claim]
    unreadable: list[str]
    """The faults of records whose jobs are set apart now, in the script's words."""
    wait: float
    now: Milliseconds = 0
    """The time of the claim by the ledger's clock."""
    stepped: float = 0.0
    """Seconds by which that clock was found to be stepped. The ledger's times were moved with it."""
    loss: "Loss | None" = None
    """A loss of data that this claim has found."""


@dataclass(frozen=True, slots=True)
class Grant:
    """The permission to send one attempt. ``tries`` counts the attempts that count against the maximum."""

    attempt: int
    tries: int
    request: str
    account: str = MAIN
    faults: int = 0
    """The earlier attempts that met a server fault. The provider may have made a task for each."""
    epoch: str = ""
    """The epoch of the ledger."""
    number: int = field(default=0, compare=False)
    """The attempt's number in it; 0 in a repeated grant."""


class Adoption(StrEnum):
    """The outcome of naming a provider's task."""

    ADOPTED = "adopted"
    """The attempt had no such task: it is followed from now on, whatever state its job was in."""
    EXPECTED = "expected"
    """The task was known and is still open; if a callback brought the news, a poll comes at once."""
    REPEATED = "repeated"
    """The task's end is on record already."""
    MISMATCHED = "mismatched"
    """The attempt has another task for certain: nothing was changed."""
    UNNAMED = "accepted_unnamed"
    """The attempt was accepted for certain, and the id of its task is unknown."""
    BAD_TOKEN = "bad_token"  # noqa: S105 - not a secret
    """The job has no attempt with this token."""
    UNKNOWN_JOB = "unknown_job"
    """There is no such job; the news is kept for a person."""
