"""The bounds of a fetch, and the time that it has left."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from limner._fetch.faults import FetchError, FetchFault


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The bounds of a fetch."""

    max_bytes: int = 64 * 2**20
    """The most bytes of a body."""
    seconds: float = 60.0
    """The time of a whole fetch: the lookup, the redirects, and what the caller does between two pieces."""
    idle_seconds: float = 10.0
    """The time of one wait: for a lookup, a connection, a TLS handshake, or the next bytes."""
    redirects: int = 3

    def __post_init__(self) -> None:
        for name in ("max_bytes", "seconds", "idle_seconds"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be positive")
        if self.redirects < 0:
            raise ValueError("redirects must not be negative")


class Deadline:
    """The end of a fetch, from which each of its waits gets a bound."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._end = clock() + limits.seconds

    def wait(self) -> float:
        """The seconds that the next wait may take; raises FetchError after the end."""
        left = self._end - self._clock()
        if left <= 0:
            raise self.missed()
        return min(left, self._limits.idle_seconds)

    def missed(self, what: str = "the answer") -> FetchError:
        """The error about a wait that took too long."""
        if self._clock() >= self._end:
            return FetchError(FetchFault.TOO_SLOW, f"not complete within {self._limits.seconds:g} s")
        return FetchError(FetchFault.TOO_SLOW, f"waited {self._limits.idle_seconds:g} s for {what}")
