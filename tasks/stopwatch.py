"""How long something took, by whichever clock says more."""

import time
from collections.abc import Callable


class Stopwatch:
    """Started when it is made. Both clocks give seconds.

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
