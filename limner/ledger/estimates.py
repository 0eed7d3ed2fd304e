"""Estimates: when a job is sent, and when it ends."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from limner.ledger.durations import Durations, kind_of
from limner.ledger.forecast import starts_at
from limner.ledger.learned import Learned
from limner.ledger.queue import Queue
from limner.ledger.record import Record
from limner.ledger.store import Reading
from limner.models import TextToImage
from limner.status import JobState


@dataclass(frozen=True, slots=True)
class Estimate:
    """The times that are likely for a job; None for what has happened, or what nobody can tell."""

    starts_at: datetime | None = None
    """When it is likely to be sent."""
    ends_at: datetime | None = None
    paused: str | None = None
    """Why it is not sent now: the cause of the pause of each account that may take it."""


@dataclass(frozen=True, slots=True)
class Estimates:
    """Estimates from the queue and from learned durations. Raises StoreUnavailable."""

    queue: Queue
    durations: Learned

    def of(self, record: Record) -> Reading[Estimate]:
        """The estimate for a job.

        A job that waits has not been sent. Its end is its start and a typical duration; a pause holds it up,
        and so does what the quota has left.
        """
        now = record.read_at
        if now is None or record.state.ended or record.state is JobState.IN_DOUBT:
            return Estimate()
        total, left = yield from self._typical_seconds(record)
        if record.state is not JobState.QUEUED:
            return Estimate(ends_at=now + timedelta(seconds=left))
        turn = yield from self.queue.turn(record.job_id)
        causes = [capacity.closed for capacity in turn.capacities if turn.account in (None, capacity.account)]
        paused = ", ".join(sorted({cause for cause in causes if cause})) if causes and all(causes) else None
        if turn.over_budget:
            return Estimate(paused=paused)
        start: float | None = turn.now
        if not turn.claimed:
            start = starts_at(
                turn.capacities,
                now=turn.now,
                before=turn.before,
                typical=total,
                account=turn.account,
                not_before=turn.due,
            )
        if start is None:
            return Estimate(paused=paused)
        return Estimate(
            datetime.fromtimestamp(start, UTC), datetime.fromtimestamp(start + total, UTC), paused
        )

    def _typical_seconds(self, record: Record) -> Reading[tuple[float, float]]:
        # How long the provider takes for such a job, and how long it is likely to take still.
        kind = kind_of(TextToImage.model_construct(**record.request))
        [stored] = yield lambda pipe: pipe.hgetall(self.durations.key(kind))
        durations = Durations.from_stored(kind, stored, self.durations.assumed)
        since = record.accepted_at if record.state is JobState.GENERATING else None
        if since is None or record.read_at is None:
            return durations.median, durations.median
        return durations.median, durations.remaining(max(0.0, (record.read_at - since).total_seconds()))
