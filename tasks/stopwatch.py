"""The elapsed time, by the clock that shows more of it."""

import time
from collections.abc import Callable


class Stopwatch:
    """Starts when it is created. Both clocks count seconds.

    The monotonic clock stands still while a virtual machine is suspended, and the other one may be set back.
    """

    def __init__(
        self, monotonic: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time
    ) -> None:
        self._clocks = (monotonic, wall)
        self._started = (monotonic(), wall())

    def elapsed(self) -> float:
        """Seconds since the start."""
        return max(clock() - started for clock, started in zip(self._clocks, self._started, strict=True))
