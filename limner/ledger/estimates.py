"""Estimates of when jobs are sent and when they end."""

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
    """The likely times of a job; None for an event that has happened, or that cannot be estimated."""

    starts_at: datetime | None = None
    """The likely time at which the job is sent."""
    ends_at: datetime | None = None
    paused: str | None = None
    """The causes of the pauses, if all accounts that may send the job are paused."""


@dataclass(frozen=True, slots=True)
class Estimates:
    """Estimates from the queue and from learned durations. Raises StoreUnavailable."""

    queue: Queue
    durations: Learned

    def of(self, record: Record) -> Reading[Estimate]:
        """The estimate for a job.

        The end of a queued job is its likely start plus a typical duration. The start depends on the quotas,
        the slots and the pauses of the accounts.
        """
        now = record.read_at
        if now is None or record.state.ended or record.state in (JobState.IN_DOUBT, JobState.COPYING):
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
        # The median duration of such a job, and the likely rest of this one.
        kind = kind_of(TextToImage.model_construct(**record.request))
        [stored] = yield lambda pipe: pipe.hgetall(self.durations.key(kind))
        durations = Durations.from_stored(kind, stored, self.durations.assumed)
        since = record.accepted_at if record.state is JobState.GENERATING else None
        if since is None or record.read_at is None:
            return durations.median, durations.median
        return durations.median, durations.remaining(max(0.0, (record.read_at - since).total_seconds()))
