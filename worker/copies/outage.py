"""The memory of a worker that the storage has just failed."""

import threading
import time
from collections.abc import Callable
from typing import Final

PAUSE: Final = 5.0
"""Seconds without a try after a failure. A job waits longer than that between two tries of its own."""


class Outage:
    """Remembers the last failure of the storage for a few seconds.

    Without it, each of a thousand jobs would fetch its images again, only to find the storage away, and would
    take a place for copies until the storage's time-out.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._until = 0.0
        self._message = ""

    def begun(self, message: str) -> None:
        """The storage has failed now."""
        with self._lock:
            self._until, self._message = self._monotonic() + PAUSE, message

    def over(self) -> None:
        """The storage has taken an object."""
        with self._lock:
            self._until = 0.0

    def message(self) -> str | None:
        """The failure, if the storage should be spared for a moment; else None."""
        with self._lock:
            return self._message if self._monotonic() < self._until else None
