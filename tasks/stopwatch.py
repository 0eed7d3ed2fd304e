"""How long something took, by whichever clock says more."""

import time


class Stopwatch:
    """Started when it is made.

    The monotonic clock stands still while a virtual machine is suspended, and the other one may be set back.
    """

    def __init__(self) -> None:
        self._monotonic, self._wall = time.monotonic(), time.time()

    def elapsed(self) -> float:
        """Seconds since the start."""
        return max(time.monotonic() - self._monotonic, time.time() - self._wall)
