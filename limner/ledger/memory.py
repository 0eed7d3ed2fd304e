"""The memory of a worker: the state of the ledger that it saw last, and the attempts that it sent lately.

Redis can lose what it was told: a replica that lagged takes over, an older snapshot is restored, somebody
empties it. What a worker remembers shows that, and puts the attempts on record again that are lost.
"""

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

KEEP_SECONDS: Final = 600.0
"""The time for which an attempt is remembered."""
KEEP_ATTEMPTS: Final = 10_000
"""The most attempts that are remembered."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A state of the ledger: its epoch, and how far its counters had come."""

    epoch: str | None = None
    """None before the first claim."""
    moves: int = 0
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Sent:
    """An attempt that this worker has begun."""

    job_id: str
    attempt: int
    token: str
    account: str
    epoch: str
    number: int
    """Its number among all attempts of the epoch."""
    at: float
    """The time of its beginning, by the memory's clock."""
    refused: bool = False
    """True if the provider has certainly not accepted it."""
    task_id: str | None = None
    """The task that the provider's answer has named."""


class Memory:
    """The memory of one process about a ledger. Its methods may be called from any thread.

    ``clock`` is a clock that nobody sets, in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._seen = Seen()
        self._sent: OrderedDict[tuple[str, int], Sent] = OrderedDict()

    def seen(self) -> Seen:
        """The last state that was seen. A forked child, which makes no claims, has seen none."""
        with self._lock:
            return self._seen if os.getpid() == self._process else Seen()

    def see(self, seen: Seen, *, anew: bool = False) -> None:
        """Remember this state if it is later than the last one, or ``anew`` in any case."""
        with self._lock:
            if anew or seen.epoch != self._seen.epoch:
                self._seen = seen
            else:
                latest = max(seen.moves, self._seen.moves), max(seen.attempts, self._seen.attempts)
                self._seen = Seen(seen.epoch, *latest)

    def began(self, job_id: str, attempt: int, token: str, account: str, epoch: str, number: int) -> None:
        """An attempt is on record, as the one with that number of the epoch."""
        now = self._clock()
        with self._lock:
            if epoch == self._seen.epoch:
                self._seen = replace(self._seen, attempts=max(number, self._seen.attempts))
            self._sent[job_id, attempt] = Sent(job_id, attempt, token, account, epoch, number, now)
            while self._sent and (
                len(self._sent) > KEEP_ATTEMPTS or next(iter(self._sent.values())).at < now - KEEP_SECONDS
            ):
                self._sent.popitem(last=False)

    def accepted(self, job_id: str, attempt: int, task_id: str) -> None:
        """The provider's answer to an attempt names its task."""
        self._note(job_id, attempt, task_id=task_id)

    def refused(self, job_id: str, attempt: int) -> None:
        """An attempt has certainly not been accepted."""
        self._note(job_id, attempt, refused=True)

    def _note(self, job_id: str, attempt: int, *, refused: bool = False, task_id: str | None = None) -> None:
        with self._lock:
            if sent := self._sent.get((job_id, attempt)):
                self._sent[job_id, attempt] = replace(sent, refused=refused, task_id=task_id)

    def sent(self) -> list[Sent]:
        """The attempts that are remembered, the oldest first."""
        oldest = self._clock() - KEEP_SECONDS
        with self._lock:
            return [each for each in self._sent.values() if each.at >= oldest]
