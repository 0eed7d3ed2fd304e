"""When a waiting job is likely to be sent: from its turn, and from what the accounts have left.

Times are in seconds since the epoch, durations in seconds. Nothing here reads a clock or a server.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

FAR: Final = 366 * 86_400.0
"""Seconds. What lies farther off is not worth telling."""
_FINE: Final = 0.001
"""Seconds. To that, a time is looked for; the ledger counts in the same."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """What an account has left."""

    account: str
    limit: int
    """Requests that it takes in a window."""
    window: float
    """The window's length, margin included."""
    taken: tuple[float, ...] = ()
    """When the permits count that are in the window now."""
    max_in_flight: int = 1_000_000
    in_flight: int = 0
    ahead: int = 0
    """Jobs that name this account and whose turn comes first."""
    opens: float = 0.0
    """When its pause ends; infinity if that is not a matter of time, or no worker asks for its work."""
    closed: str | None = None
    """Why nothing of it is sent: the cause of its pause, or ``no_worker``."""


def starts_at(
    capacities: Sequence[Capacity],
    *,
    now: float,
    before: int,
    typical: float,
    account: str | None = None,
    not_before: float = 0.0,
) -> float | None:
    """When the job is sent, if nothing changes; None if nobody can tell.

    ``before`` is how many jobs of the common queue have their turn first, ``account`` the only one that will
    do for this job, ``typical`` how long a task takes, and ``not_before`` the end of a back-off.

    A job that names an account has its turn when the jobs before it in the common queue have been taken by
    whichever accounts there are, and when its own account has capacity.
    """
    flows = [_Flow(capacity, now, typical) for capacity in capacities]

    def sent_by(time: float) -> bool:
        permits = {flow.capacity.account: flow.by(time) - flow.capacity.ahead for flow in flows}
        if account is not None and permits.get(account, 0) < 1:
            return False
        return sum(max(0, left) for left in permits.values()) > before

    low = max(now, not_before)
    if sent_by(low):
        return low
    step = 1.0
    while not sent_by(low + step):
        step *= 2
        if step > FAR:
            return None
    high = low + step
    while high - low > _FINE:
        middle = (low + high) / 2
        if sent_by(middle):
            high = middle
        else:
            low = middle
    return high


class _Flow:
    """How many jobs an account can have sent by a time, from now on, if there is always one to send.

    Each permit is free again one window later, so what the first window gives is repeated by all that follow.
    And each slot in flight is free again when a task has ended: if ``max_in_flight`` of them take
    ``typical`` seconds each, that many end in that time (Little's law).
    """

    def __init__(self, capacity: Capacity, now: float, typical: float) -> None:
        self.capacity = capacity
        self._start = max(now, capacity.opens)
        self._typical = max(typical, _FINE)
        # Of more than the limit, which may have been lowered, only the latest hold a new one up.
        held = sorted(at for at in capacity.taken if at + capacity.window > self._start)[-capacity.limit :]
        free = capacity.limit - len(held)
        self._first = [self._start] * free + [at + capacity.window for at in held]

    def by(self, time: float) -> int:
        if time < self._start:
            return 0
        windows, rest = divmod(time - self._start, self.capacity.window)
        permits = int(windows) * self.capacity.limit + bisect_right(self._first, self._start + rest)
        places = self.capacity.max_in_flight - self.capacity.in_flight
        ended = math.floor((time - self._start) * self.capacity.max_in_flight / self._typical)
        return min(permits, places + ended)
