"""The state of an account, as the fleet knows it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from limner.pauses import Pause

MAIN: Final = "main"
"""The account of a fleet that has only one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountStatus:
    """An account as the fleet knows it. Times are UTC, by the Redis server's clock; durations in seconds."""

    account: str
    requests: int
    """The number of requests that the settings allow …"""
    seconds: float
    """… in a window of this length."""
    reads_per_second: float
    max_in_flight: int
    limit: int
    """The number of requests in a window that are left for the fleet: fewer than ``requests`` if somebody
    else uses the same quota."""
    in_flight_limit: int
    """The number of tasks in flight that are allowed now: fewer than ``max_in_flight`` if the provider has
    refused a request because too many were at work."""
    more_at: datetime | None
    """The time at which a higher limit is tried again; None if the limit is ``requests``."""
    margin: float
    """By how much the window is widened, as learned."""
    used: int
    """Permits in the window now: requests sent in the last ``seconds`` + ``margin``, and granted ones."""
    next_permit_at: datetime
    """From when on the window has room; whatever a pause or the tasks in flight say."""
    in_flight: int
    waiting: int
    """Jobs in the common queue, which any account may take: the same number at each account."""
    waiting_own: int
    """Jobs in the queue that name this account."""
    polls_waiting: int
    """Jobs whose status is to be read as soon as the reads allow."""
    pause: Pause | None
    claimed_at: datetime | None
    """The time at which a worker last asked for this account's work, to within 5 s; None if none ever did."""
    deserted: bool
    """No worker asks for its work any more: none is running, or none has this account in its settings."""
