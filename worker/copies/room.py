"""The room for copies in a worker."""

import threading
import time
from collections import deque
from collections.abc import Callable


class Room:
    """The places for copies, and the claims for them that a worker may still make.

    A claimed step may be taken by any worker. So a worker claims as many as it finishes, whoever has claimed
    those: over all workers, the claims are then never more than the places. Half as many again are claimed,
    and wait for a place, so that the next job is there when a copy ends. A claim of which nothing is heard
    for ``forget`` seconds does not count any more, since its message may be lost.
    """

    def __init__(
        self,
        places: int,
        *,
        patience: float = 5.0,
        forget: float = 20.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the number of places, and the seconds that a step waits for one; the lease lasts longer."""
        self._places = places
        self._free = places
        self._spare = max(1, places // 2)
        self._waiting = 0
        self._patience = patience
        self._forget = forget
        self._monotonic = monotonic
        self._changed = threading.Condition()
        self._claimed: deque[float] = deque()
        self._ahead = 0
        """Copies of others' claims that this worker has finished, and may claim in return."""

    def claims(self) -> int:
        """The number of steps that may be claimed now."""
        with self._changed:
            self._drop_lost()
            return max(0, self._places + self._spare - len(self._claimed))

    def claimed(self, steps: int) -> None:
        """So many steps were claimed."""
        with self._changed:
            now = self._monotonic()
            for _ in range(steps):
                if self._ahead:
                    self._ahead -= 1
                else:
                    self._claimed.append(now)

    def enter(self) -> bool:
        """Take a place, or wait for one; False if too many wait, or if it takes too long."""
        with self._changed:
            if not self._free and self._waiting >= self._spare:
                return False
            self._waiting += 1
            found = self._changed.wait_for(lambda: self._free, self._patience)
            self._waiting -= 1
            if found:
                self._free -= 1
            return bool(found)

    def leave(self) -> None:
        """Free the place: its copy has ended."""
        with self._changed:
            self._free += 1
            self._done()
            self._changed.notify()

    def decline(self) -> None:
        """A step was given back for want of a place."""
        with self._changed:
            self._done()

    def _done(self) -> None:
        if self._claimed:
            self._claimed.popleft()
        elif self._ahead < self._places:
            self._ahead += 1

    def _drop_lost(self) -> None:
        while self._claimed and self._claimed[0] < self._monotonic() - self._forget:
            self._claimed.popleft()
