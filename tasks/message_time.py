"""The time of a plain Celery message, which shows if it may be the repetition of a forgotten one."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

SENT: Final = "limner-sent"
"""The header in which a producer may say when it sent a message."""
SKEW: Final = timedelta(hours=1)
"""By so much, the clocks of producers and workers may differ."""


def sent_at(message: Any, now: datetime) -> datetime | None:
    """The latest time that the message names; None if it names none, as is usual with Celery.

    These are the header :data:`SENT`, AMQP's property ``timestamp``, and the ``eta``. A time that lies in the
    future says nothing.
    """
    return max((time for time in _times(message) if time <= now + SKEW), default=None)


def too_old(message: Any, now: datetime, memory: timedelta) -> bool:
    """True if the message is older than the memory of ids is long."""
    sent = sent_at(message, now)
    return sent is not None and now - sent > memory


def _times(message: Any) -> Iterator[datetime]:
    properties = message.get("properties")
    stamp = properties.get("timestamp") if isinstance(properties, dict) else None
    for value in (message.get(SENT), stamp, message.get("eta")):
        if (time := _time(value)) is not None:
            yield time


def _time(value: Any) -> datetime | None:
    """A number of seconds since the epoch, a text of ISO 8601, or a time; None for anything else."""
    try:
        match value:
            case bool() | None:
                return None
            case int() | float():
                return datetime.fromtimestamp(value, UTC)
            case str():
                return _in_utc(datetime.fromisoformat(value))
            case datetime():
                return _in_utc(value)
    except (ValueError, OverflowError, OSError):
        pass
    return None


def _in_utc(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
