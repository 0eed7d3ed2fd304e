"""Reports of polls. Several are put on record together."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar

from limner.errors import JobFailed
from limner.ledger.durations import DurationSample
from limner.ledger.messages import to_micro, to_ms
from limner.ledger.outcomes import failed, made
from limner.ledger.scripts.script import counted


@dataclass(frozen=True, slots=True)
class BackendResult:
    """A job's result as Celery's backend keeps it, where that is the ledger's own server.

    The time of the job's end stands between ``head`` and ``tail``. Durations are in seconds.
    """

    key: str
    head: str
    tail: str
    expires: float
    attempt: int
    """The last attempt that it knows of."""
    ttl: float
    """Seconds to keep the record once the result is stored."""
    follow: float
    """Seconds until the first poll another task that is still open."""

    def to_json(self) -> dict[str, Any]:
        """As the scripts take it."""
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
    """The task is not ready; poll again in ``poll_in`` seconds.

    ``task_id`` names it if the job has others, which are polled first then, or if the provider has now
    shown it (``sure``), as the task of ``attempt``. With ``too_often``, the read was refused for its rate.
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

    def to_json(self) -> dict[str, Any]:
        """As the script takes it."""
        return {
            "lease": self.lease,
            "answer": self.answer,
            "delay": counted("poll_in", to_ms(self.poll_in)),
            "task_id": self.task_id,
            "sure": self.sure or None,
            "attempt": self.attempt,
            "too_often": self.too_often or None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSucceeded:
    """A task has made its images; ``cost`` is in credits.

    The first such task of a job is its result, even if the job had failed by then. Of a cancelled job, or of
    one that has its result, it is noted with its cost. ``ttl`` is for how long a record is kept of which
    nothing more is expected, ``attempt`` the one whose task it is, as the provider says.
    """

    WHAT: ClassVar[str] = "task_succeeded"
    job_id: str
    task_id: str
    urls: Sequence[str]
    cost: Decimal | None
    ttl: float
    attempt: int | None = None
    sample: DurationSample | None = None
    """Its duration, for the histogram."""
    result: BackendResult | None = None
    """Stored at once, if this ends the job."""

    def to_json(self) -> dict[str, Any]:
        """As the script takes it."""
        return {
            "task_id": self.task_id,
            "urls": list(self.urls),
            "outcome": made(self.urls, self.cost),
            "credits": None if self.cost is None else str(self.cost),
            "cost": None if self.cost is None else counted("cost", to_micro(self.cost)),
            "ttl": counted("ttl", to_ms(self.ttl)),
            "attempt": self.attempt,
            "learn": self.sample and self.sample.to_json(),
            "result": self.result and self.result.to_json(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFailed:
    """A task has ended without images, and with it the job, unless another one is still open.

    It is paid for if it has a ``cost``, or is ``owed`` for at the expected one. If another attempt is in
    doubt, so is the job now, for ``grace`` seconds.
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

    def to_json(self) -> dict[str, Any]:
        """As the script takes it."""
        return {
            "task_id": self.task_id,
            "outcome": failed(self.error),
            "error": self.error.to_json(),
            "credits": str(self.cost) if self.cost else None,
            "cost": counted("cost", to_micro(self.cost)) if self.cost else None,
            "owed": self.owed or bool(self.cost) or None,
            "ttl": counted("ttl", to_ms(self.ttl)),
            "grace": counted("grace", to_ms(self.grace)),
            "attempt": self.attempt,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskLost:
    """A task is not polled any more.

    ``reason`` holds a ``cause``, "foreign" for the task of another job, and a ``message``. A job that has no
    other task is in doubt again, for ``grace`` seconds.
    """

    WHAT: ClassVar[str] = "task_lost"
    job_id: str
    task_id: str
    reason: Mapping[str, Any]
    ttl: float
    grace: float

    def to_json(self) -> dict[str, Any]:
        """As the script takes it."""
        return {
            "task_id": self.task_id,
            "error": dict(self.reason),
            "ttl": counted("ttl", to_ms(self.ttl)),
            "grace": counted("grace", to_ms(self.grace)),
            "foreign": True if self.reason.get("cause") == "foreign" else None,
        }


Report = Polled | TaskSucceeded | TaskFailed | TaskLost


def to_json(report: Report) -> dict[str, Any]:
    """A report as the script takes it, without what does not apply."""
    told = {"what": report.WHAT, "job": report.job_id, **report.to_json()}
    return {name: value for name, value in told.items() if value is not None}
