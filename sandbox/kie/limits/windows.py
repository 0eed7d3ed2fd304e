"""An account's rate limits: 20 accepted createTask calls in 10 s, 10 recordInfo calls a second.

It is not published whether the real window slides (contract 1.5, 2.5), so there are three ways of counting.
Times are seconds of any clock, and are arguments.
"""

from collections import deque
from enum import StrEnum
from typing import Protocol

__all__ = ["FixedWindow", "Limiter", "SlidingWindow", "TokenBucket", "Unlimited", "Window", "limiter"]


class Window(StrEnum):
    """The ways of counting calls."""

    SLIDING = "sliding"
    FIXED = "fixed"
    BUCKET = "bucket"
    OFF = "off"


class Limiter(Protocol):
    """Counts accepted calls only: a refused one costs nothing."""

    def allows(self, now: float) -> bool:
        """True if a call at ``now`` would be accepted; counts nothing."""

    def take(self, now: float) -> None:
        """Count an accepted call."""


class Unlimited:
    def allows(self, now: float) -> bool:  # noqa: ARG002 - the protocol's signature
        return True

    def take(self, now: float) -> None:
        """Count nothing."""


class SlidingWindow:
    """At most ``calls`` in any ``seconds``."""

    def __init__(self, calls: int, seconds: float) -> None:
        self._seconds = seconds
        self._last: deque[float] = deque(maxlen=calls)

    def allows(self, now: float) -> bool:
        return len(self._last) < (self._last.maxlen or 0) or now - self._last[0] >= self._seconds

    def take(self, now: float) -> None:
        self._last.append(now)


class FixedWindow:
    """At most ``calls`` between two multiples of ``seconds``."""

    def __init__(self, calls: int, seconds: float) -> None:
        self._calls = calls
        self._seconds = seconds
        self._window = -1
        self._taken = 0

    def allows(self, now: float) -> bool:
        return now // self._seconds != self._window or self._taken < self._calls

    def take(self, now: float) -> None:
        if now // self._seconds != self._window:
            self._window, self._taken = int(now // self._seconds), 0
        self._taken += 1


class TokenBucket:
    """``calls`` at once, refilled evenly over ``seconds``."""

    def __init__(self, calls: int, seconds: float) -> None:
        self._calls = calls
        self._rate = calls / seconds
        self._tokens = float(calls)
        self._at: float | None = None

    def allows(self, now: float) -> bool:
        return self._filled(now) >= 1.0

    def take(self, now: float) -> None:
        self._tokens, self._at = self._filled(now) - 1.0, now

    def _filled(self, now: float) -> float:
        since = 0.0 if self._at is None else now - self._at
        return min(float(self._calls), self._tokens + since * self._rate)


_KINDS: dict[Window, type[SlidingWindow] | type[FixedWindow] | type[TokenBucket]] = {
    Window.SLIDING: SlidingWindow,
    Window.FIXED: FixedWindow,
    Window.BUCKET: TokenBucket,
}


def limiter(kind: Window, calls: int, seconds: float) -> Limiter:
    """A limiter of that kind; ``calls`` of 0 means no limit."""
    if kind is Window.OFF or calls == 0:
        return Unlimited()
    return _KINDS[kind](calls, seconds)
