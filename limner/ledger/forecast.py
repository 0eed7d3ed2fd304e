"""Forecasts when a waiting job is sent, from its turn and the capacities of the accounts.

Times are in seconds since the epoch, durations in seconds. No function here reads a clock or a server.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

FAR: Final = 366 * 86_400.0
"""Seconds. A start that is farther away is not forecast."""
_FINE: Final = 0.001
"""Seconds. The precision of the search, which is that of the ledger's times."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """The capacity of an account."""

    account: str
    limit: int
    """The number of requests that fit into a window."""
    window: float
    """The length of the window, including the margin."""
    taken: tuple[float, ...] = ()
    """The times from which the permits in the window count."""
    max_in_flight: int = 1_000_000
    in_flight: int = 0
    ahead: int = 0
    """The number of jobs that name this account and go first."""
    opens: float = 0.0
    """The end of the pause; infinity if the pause does not end by time, or if the account has no worker."""
    closed: str | None = None
    """The cause of the pause, or ``no_worker``; None if the account is open."""


def starts_at(
    capacities: Sequence[Capacity],
    *,
    now: float,
    before: int,
    typical: float,
    account: str | None = None,
    not_before: float = 0.0,
) -> float | None:
    """The time at which the job is sent if nothing changes; None if that cannot be forecast.

    ``before`` is the number of jobs in the common queue that go first, ``account`` the only account that may
    send this job, ``typical`` the usual duration of a task, and ``not_before`` the end of a back-off.

    A job that names an account is sent when all accounts together have sent the jobs before it in the common
    queue, and when its own account has capacity.
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
    """The number of jobs that an account can send from now until a time, if there is always one to send.

    Each permit is free again one window later, so every window repeats the permits of the first. Each slot in
    flight is free again when its task has ended: if ``max_in_flight`` tasks take ``typical`` seconds each,
    that many end in that time (Little's law).
    """

    def __init__(self, capacity: Capacity, now: float, typical: float) -> None:
        self.capacity = capacity
        self._start = max(now, capacity.opens)
        self._typical = max(typical, _FINE)
        # The limit may have been lowered below the number of permits. Then only the latest delay a new one.
        held = sorted(at for at in capacity.taken if at + capacity.window > self._start)[-capacity.limit :]
        free = capacity.limit - len(held)
        self._first = [self._start] * free + [at + capacity.window for at in held]

    def by(self, time: float) -> int:
        if time < self._start:
            return 0
        windows, rest = divmod(time - self._start, self.capacity.window)
        permits = int(windows) * self.capacity.limit + bisect_right(self._first, self._start + rest)
        slots = self.capacity.max_in_flight - self.capacity.in_flight
        ended = math.floor((time - self._start) * self.capacity.max_in_flight / self._typical)
        return min(permits, slots + ended)
