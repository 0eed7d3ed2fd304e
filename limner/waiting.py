"""The limits of waits, and the errors at their ends."""

from dataclasses import dataclass
from typing import ClassVar

from limner.errors import UnknownJob, WaitTimeout
from limner.status import JobState


@dataclass(slots=True)
class Patience:
    """The limit of an outage of Redis. ``last_seen`` is when Redis answered last, in monotonic seconds."""

    last_seen: float

    RECHECK: ClassVar[float] = 5.0
    """The seconds between two reads in case that a message was lost."""
    PAUSE: ClassVar[float] = 0.2
    """The seconds between two tries."""
    OUTAGE: ClassVar[float] = 30.0

    def seen(self, now: float) -> None:
        """Redis has answered."""
        self.last_seen = now

    def lost(self, now: float) -> bool:
        """True if Redis has been away for too long."""
        return now - self.last_seen > self.OUTAGE


def still_waiting(job_id: str, state: JobState, timeout: float | None) -> WaitTimeout:
    """The error for a wait that timed out before the job ended."""
    return WaitTimeout(
        f"job {job_id} is still {state} after {timeout} s; it goes on, ask again later", job_id=job_id
    )


def unknown(job_id: str) -> UnknownJob:
    """The error for a job of which there is no record, or none that this client may see."""
    return UnknownJob(f"no job {job_id}: it never was, or its result has expired")
