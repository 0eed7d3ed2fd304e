"""What a job may expect: when it is sent, and when it ends."""

from datetime import UTC, datetime, timedelta

from limner.durations import kind_of
from limner.forecast import starts_at
from limner.ledger import Ledger
from limner.models import TextToImage
from limner.records import JobState, Record


def outlook(ledger: Ledger, record: Record) -> tuple[datetime | None, datetime | None]:
    """When the job is likely to be sent and to end; None for what has happened, or what nobody can tell.

    A job that waits has not been sent. Its end is its start and a typical duration; a pause holds it up, and
    so does what the quota has left.
    """
    now = record.read_at
    if now is None or record.state.ended or record.state is JobState.IN_DOUBT:
        return None, None
    total, left = typical_seconds(ledger, record)
    if record.state is not JobState.QUEUED:
        return None, now + timedelta(seconds=left)
    turn = ledger.turn(record.job_id)
    if turn.over_budget:
        return None, None
    start: float | None = turn.now
    if not turn.claimed:
        start = starts_at(
            turn.rooms,
            now=turn.now,
            before=turn.before,
            typical=total,
            account=turn.account,
            not_before=turn.due,
        )
    if start is None:
        return None, None
    return datetime.fromtimestamp(start, UTC), datetime.fromtimestamp(start + total, UTC)


def typical_seconds(ledger: Ledger, record: Record) -> tuple[float, float]:
    """How long the provider takes for such a job, and how long it is likely to take still, in seconds."""
    durations = ledger.durations(kind_of(TextToImage.model_construct(**record.request)))
    since = record.accepted_at if record.state is JobState.GENERATING else None
    if since is None or record.read_at is None:
        return durations.median, durations.median
    return durations.median, durations.remaining(max(0.0, (record.read_at - since).total_seconds()))
