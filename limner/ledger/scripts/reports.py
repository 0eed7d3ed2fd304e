"""The reports of polls. One call records several of them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar, Final

from limner.errors import JobFailed
from limner.ledger.durations import DurationSample
from limner.ledger.messages import Closing, to_micro, to_ms
from limner.ledger.outcomes import failed, made
from limner.ledger.scripts.encoding import of_closing
from limner.ledger.scripts.script import counted

MOST_CREDITS: Final = Decimal(10**9)
"""No task costs as much, in credits. The sums of such numbers could not be booked."""


def believed(cost: Decimal | None) -> Decimal | None:
    """The cost of a task, or None if no task can have cost that."""
    return cost if cost is not None and cost.is_finite() and 0 <= cost < MOST_CREDITS else None


@dataclass(frozen=True, slots=True)
class BackendResult:
    """The result of a job in the encoding of Celery's backend, if the backend is the ledger's own server.

    The script inserts the time of the job's end between ``head`` and ``tail``. Durations are in seconds.
    """

    key: str
    head: str
    tail: str
    expires: float
    attempt: int
    """The last attempt that the text takes into account."""
    ttl: float
    """Seconds to keep the record once the result is stored."""
    follow: float
    """Seconds until the first poll of another task that is still open."""

    def to_json(self) -> dict[str, Any]:
        """The argument of the scripts."""
        return {
            "key": self.key,
            "head": self.head,
            "tail": self.tail,
            "expires": math.ceil(self.expires),
            "attempt": self.attempt,
            "ttl": to_ms(self.ttl),
            "follow": to_ms(self.follow),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Polled:
    """Reports that a task is not ready, and is to be polled again in ``poll_in`` seconds.

    ``task_id`` is set if the job has other tasks, which are then polled first, or if the provider has now
    confirmed the task (``sure``) as that of ``attempt``. ``too_often`` means that the read was refused for
    its rate.
    """

    WHAT: ClassVar[str] = "polled"
    job_id: str
    lease: int
    answer: str
    poll_in: float
    task_id: str | None = None
    sure: bool = False
    attempt: int | None = None
    too_often: bool = False
    imageless: bool = False
    """True if the task has succeeded, and no image can be read."""
    raw: str = ""
    """The provider's answer, if it was not understood."""

    def to_json(self) -> dict[str, Any]:
        """The argument of the script."""
        return {
            "lease": self.lease,
            "answer": self.answer,
            "delay": counted("poll_in", to_ms(self.poll_in)),
            "task_id": self.task_id,
            "sure": self.sure or None,
            "attempt": self.attempt,
            "too_often": self.too_often or None,
            "imageless": self.imageless or None,
            "raw": self.raw or None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSucceeded:
    """Reports that a task has made its images; ``cost`` is in credits. An absurd cost counts as unknown.

    The first such task of a job is its result, even if the job had failed by then. For a cancelled job, or
    one that has its result already, the task is recorded with its cost. ``ttl`` is the time to live of a
    record to which nothing more can happen. ``attempt`` is the attempt that made the task, if the provider
    says so.
    """

    WHAT: ClassVar[str] = "task_succeeded"
    job_id: str
    task_id: str
    urls: Sequence[str]
    cost: Decimal | None
    ttl: float
    attempt: int | None = None
    relative: int = 0
    """The number of URLs that the provider sent without a host."""
    sample: DurationSample | None = None
    """The duration of the task, for the histogram."""
    copy: float | None = None
    """The seconds that the job waits for the copies of its images; None if they are not copied."""
    result: BackendResult | None = None
    """The result that is stored at once if this report ends the job."""

    def to_json(self) -> dict[str, Any]:
        """The argument of the script."""
        cost = believed(self.cost)
        return {
            "task_id": self.task_id,
            "urls": list(self.urls),
            "outcome": made(self.urls, cost),
            "credits": None if cost is None else str(cost),
            "cost": None if cost is None else to_micro(cost),
            "said": None if self.cost == cost else str(self.cost),
            "ttl": counted("ttl", to_ms(self.ttl)),
            "attempt": self.attempt,
            "relative": self.relative or None,
            "learn": self.sample and self.sample.to_json(),
            "copy": None if self.copy is None else counted("copy", to_ms(self.copy)),
            "result": self.result and self.result.to_json(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFailed:
    """Reports that a task has ended without images. The job ends with it, unless another task is still open.

    The task is paid for if it has a ``cost``, or at the expected cost if it is ``owed``. If another attempt
    is in doubt, the job becomes in doubt, for ``grace`` seconds. With ``again``, the job is sent once more
    after so many seconds, unless there is something to wait for. ``pause`` is what the failure says about the
    account.
    """

    WHAT: ClassVar[str] = "task_failed"
    job_id: str
    task_id: str
    error: JobFailed
    ttl: float
    grace: float = 0.0
    cost: Decimal | None = None
    owed: bool = False
    attempt: int | None = None
    again: float | None = None
    pause: Closing | None = None
    raw: str = ""
    """The provider's answer, if it was not understood."""

    def to_json(self) -> dict[str, Any]:
        """The argument of the script."""
        cost = believed(self.cost)
        return {
            "task_id": self.task_id,
            "outcome": failed(self.error),
            "error": self.error.to_json(),
            "credits": str(cost) if cost else None,
            "cost": to_micro(cost) if cost else None,
            "said": None if self.cost == cost else str(self.cost),
            "owed": self.owed or bool(cost) or None,
            "ttl": counted("ttl", to_ms(self.ttl)),
            "grace": counted("grace", to_ms(self.grace)),
            "attempt": self.attempt,
            "again": None if self.again is None else counted("again", to_ms(self.again)),
            "pause": None if self.pause is None else of_closing(self.pause, self.error.to_json()),
            "raw": self.raw or None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskLost:
    """Reports that a task is not polled any more.

    ``reason`` has a ``message`` and a ``cause``, which is "foreign" for the task of another job. A job
    without another task is in doubt again, for ``grace`` seconds.
    """

    WHAT: ClassVar[str] = "task_lost"
    job_id: str
    task_id: str
    reason: Mapping[str, Any]
    ttl: float
    grace: float

    def to_json(self) -> dict[str, Any]:
        """The argument of the script."""
        return {
            "task_id": self.task_id,
            "error": dict(self.reason),
            "ttl": counted("ttl", to_ms(self.ttl)),
            "grace": counted("grace", to_ms(self.grace)),
            "foreign": True if self.reason.get("cause") == "foreign" else None,
        }


Report = Polled | TaskSucceeded | TaskFailed | TaskLost


def to_json(report: Report) -> dict[str, Any]:
    """A report as the argument of the script, without its empty fields."""
    fields = {"what": report.WHAT, "job": report.job_id, **report.to_json()}
    return {name: value for name, value in fields.items() if value is not None}
