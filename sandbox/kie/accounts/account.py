"""An account: its keys, its credits and its limits."""

import heapq
from collections.abc import Callable

from sandbox.kie.faults.refusals import NO_CREDITS, TOO_MANY_RUNNING, TOO_OFTEN, Refusal
from sandbox.kie.limits.holders import MAIN
from sandbox.kie.limits.windows import Limiter, Window, limiter
from sandbox.kie.options import ProviderOptions, RunningWords
from sandbox.kie.tasks.orders import TaskOrder

__all__ = ["Account"]


class Account:
    """One account's keys, credits and limits. Times are seconds of one clock, and are arguments."""

    def __init__(self, options: ProviderOptions, name: str = MAIN) -> None:
        """Raises :class:`KeyError` for an account that the options do not name."""
        self.name = name
        self.keys = options.key_holders[name]
        self._revoked: set[str] = set()
        self._balance = options.credits
        self._creates = limiter(options.window, options.creates, options.window_seconds)
        self._new_reads: Callable[[], Limiter] = lambda: limiter(Window.SLIDING, options.reads, 1.0)
        self._reads: dict[str, Limiter] = {}
        self._max_running = options.max_running
        named = options.running_words is RunningWords.NAMED
        self._full = TOO_MANY_RUNNING if named else TOO_OFTEN
        self._running: list[float] = []
        self._refunds: list[tuple[float, float]] = []

    def key(self, authorization: str | None) -> str | None:
        """The API key of an ``Authorization`` header, if it is one of the account's, revoked or not."""
        scheme, _, key = (authorization or "").partition(" ")
        return key if scheme.lower() == "bearer" and key in self.keys else None

    def is_revoked(self, key: str) -> bool:
        return key in self._revoked

    def revoke(self, key: str) -> None:
        self._revoked.add(key)

    def restore(self, key: str) -> None:
        self._revoked.discard(key)

    def may_create(self, now: float) -> Refusal | None:
        """The refusal for the number of running tasks or the rate, or None; by default they look the same."""
        if self._max_running and self.running(now) >= self._max_running:
            return self._full
        return None if self._creates.allows(now) else TOO_OFTEN

    def may_read(self, key: str, now: float) -> Refusal | None:
        """The refusal for too high a rate, or None; an allowed read is counted."""
        reads = self._reads.get(key) or self._reads.setdefault(key, self._new_reads())
        if not reads.allows(now):
            return TOO_OFTEN
        reads.take(now)
        return None

    def can_pay(self, order: TaskOrder, now: float) -> Refusal | None:
        return None if order.credits <= self.balance(now) else NO_CREDITS

    def book(self, credits_held: float, now: float, ends: float, *, refunded: bool) -> None:
        """Count an accepted task and hold its credits. A ``refunded`` task returns them at ``ends``."""
        self._creates.take(now)
        self._balance -= credits_held
        heapq.heappush(self._running, ends)
        if refunded:
            heapq.heappush(self._refunds, (ends, credits_held))

    def set_balance(self, credits_left: float, now: float) -> None:
        """Set the credits that can be spent now; credits held for running tasks still return if they fail."""
        self._balance += credits_left - self.balance(now)

    def balance(self, now: float) -> float:
        while self._refunds and self._refunds[0][0] <= now:
            self._balance += heapq.heappop(self._refunds)[1]
        return self._balance

    def running(self, now: float) -> int:
        """The number of tasks that have not ended."""
        while self._running and self._running[0] <= now:
            heapq.heappop(self._running)
        return len(self._running)
