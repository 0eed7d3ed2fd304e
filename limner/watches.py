"""The waits of a process for the ends of jobs: which record is to be read when. It holds no connection."""

import heapq
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain, count, islice
from math import ceil
from typing import ClassVar, TypeAlias

from limner.errors import StoreUnavailable
from limner.ledger import Record
from limner.waiting import Patience, still_waiting, unknown

Found: TypeAlias = Record | Exception | None
"""A record that was read, the error of one that cannot be read, or None for an unknown job."""


@dataclass(eq=False, slots=True)
class Watch:
    """One wait. ``tell`` is called once, by the thread that reads. Times are monotonic seconds."""

    job_id: str
    namespace: str
    tell: Callable[[Record | Exception], None]
    began: float
    timeout: float | None = None
    owner: object = None
    """The event loop that waits."""
    over: bool = field(default=False, init=False)

    @property
    def deadline(self) -> float | None:
        """The moment at which the wait is over."""
        return None if self.timeout is None else self.began + self.timeout

    def answer(self, found: Found) -> Record | Exception | None:
        """The end of this wait, or None if it continues."""
        if isinstance(found, Exception):
            return found
        if found is None or (self.namespace and found.namespace != self.namespace):
            return unknown(self.job_id)
        if found.state.ended:
            return found
        return still_waiting(self.job_id, found.state, self.timeout) if self.over else None


class Watches:
    """All waits of a process. For use by one thread.

    A record is read when its channel's subscription is confirmed, when its end is announced, and at a wait's
    deadline. In case that a message was lost, a few records are read again every RECHECK seconds, those first
    that were not read for longest. If one has ended unannounced, or there is no subscription, all are read
    again so often, up to STORM records a second.
    """

    BATCH: ClassVar[int] = 100
    FEW: ClassVar[int] = 20
    """The least records of a recheck."""
    ROUND: ClassVar[float] = 1800.0
    """The seconds within which each record is read again."""
    STORM: ClassVar[int] = 500
    DISTRUST: ClassVar[float] = 60.0
    """For how long all are read again after a message was lost."""
    CONFIRMATION: ClassVar[float] = 2.0
    """The longest wait for the confirmation of a subscription before the record is read."""

    def __init__(self, now: float) -> None:
        self._watches: dict[str, set[Watch]] = {}
        self._read_at: dict[str, float] = {}
        """The moments of the last reads, the oldest first."""
        self._urgent: dict[str, None] = {}
        self._begun: dict[str, None] = {}
        self._again: dict[str, None] = {}
        self._reading: dict[str, bool] = {}
        """The records that are being read; true if only in case that a message was lost."""
        self._unconfirmed: deque[tuple[float, str]] = deque()
        self._deadlines: list[tuple[float, int, Watch]] = []
        self._serial = count()
        self._recheck_at = now + Patience.RECHECK
        self._retry_at = now
        self._failing_since: float | None = None
        self._distrusted_until = now
        self._deaf = False

    def __len__(self) -> int:
        return len(self._watches)

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._watches

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._watches))

    def add(self, watch: Watch) -> bool:
        """Take a wait in; returns True if its job's channel is to be subscribed to."""
        first = watch.job_id not in self._watches
        self._watches.setdefault(watch.job_id, set()).add(watch)
        deadline = watch.deadline
        if deadline is not None:
            heapq.heappush(self._deadlines, (deadline, next(self._serial), watch))
        if first:
            self._unconfirmed.append((watch.began + self.CONFIRMATION, watch.job_id))
        else:
            self._begun[watch.job_id] = None
        return first

    def discard(self, watch: Watch) -> None:
        """Forget a wait that was given up."""
        watches = self._watches.get(watch.job_id)
        if watches is not None:
            watches.discard(watch)
            if not watches:
                self._forget(watch.job_id)

    def owned(self, owner: object | None) -> list[Watch]:
        """The waits of an event loop, or all without one."""
        return [
            watch
            for watches in self._watches.values()
            for watch in watches
            if owner is None or watch.owner is owner
        ]

    def confirmed(self, job_id: str) -> None:
        """The job's channel is subscribed to: no end is missed from now on."""
        if job_id in self._watches:
            self._begun[job_id] = None

    def told(self, job_id: str) -> None:
        """The job's end was announced."""
        if job_id in self._watches:
            self._urgent[job_id] = None

    def hears(self, hears: bool) -> None:
        """Say if there is a subscription; it is of help, and waits do without."""
        self._deaf = not hears

    def due(self, now: float) -> list[str]:
        """The records to read now: at most BATCH, the announced ones first."""
        if now < self._retry_at:
            return []
        self._pass(now)
        if now >= self._recheck_at:
            self._recheck(now)
        queued = chain(self._urgent, self._begun, self._again)
        # A record may stand in several queues.
        chosen = list(islice(dict.fromkeys(islice(queued, 3 * self.BATCH)), self.BATCH))
        for job_id in chosen:
            self._reading[job_id] = job_id not in self._urgent and job_id not in self._begun
            for queue in (self._urgent, self._begun, self._again):
                queue.pop(job_id, None)
        return chosen

    def _pass(self, now: float) -> None:
        """Have what was not confirmed in time read, and what is over."""
        while self._deadlines and self._deadlines[0][0] <= now:
            _, _, watch = heapq.heappop(self._deadlines)
            if watch in self._watches.get(watch.job_id, ()):
                watch.over = True
                self._urgent[watch.job_id] = None
        while self._unconfirmed and (self._deaf or self._unconfirmed[0][0] <= now):
            _, job_id = self._unconfirmed.popleft()
            if job_id in self._watches and job_id not in self._read_at:
                self._begun[job_id] = None

    def _recheck(self, now: float) -> None:
        doubtful = self._deaf or now < self._distrusted_until
        # A second's share of a storm each second, or a round's share each time.
        step = 1.0 if doubtful else Patience.RECHECK
        many = self.STORM if doubtful else max(self.FEW, ceil(len(self._read_at) * step / self.ROUND))
        self._recheck_at = now + step
        for job_id, read_at in islice(self._read_at.items(), many):
            if now - read_at < Patience.RECHECK:
                break
            self._again[job_id] = None

    def pause(self, now: float) -> float:
        """The seconds until something is due."""
        moments = [self._recheck_at]
        if self._deadlines:
            moments.append(self._deadlines[0][0])
        if self._unconfirmed:
            moments.append(now if self._deaf else self._unconfirmed[0][0])
        if self._urgent or self._begun or self._again:
            moments.append(now)
        return max(0.0, min(moments) - now, self._retry_at - now)

    def found(self, job_id: str, found: Found, now: float) -> None:
        """Take in a record that was due. What was announced until it was read is to be taken in before."""
        self._failing_since = None
        again = self._reading.pop(job_id, False)
        if again and job_id not in self._urgent and isinstance(found, Record) and found.state.ended:
            self._distrusted_until = now + self.DISTRUST
        for watch in list(self._watches.get(job_id, ())):
            answer = watch.answer(found)
            if answer is not None:
                self.discard(watch)
                watch.tell(answer)
        self._read_at.pop(job_id, None)
        if job_id in self._watches:
            self._read_at[job_id] = now

    def failed(self, error: StoreUnavailable, now: float) -> None:
        """Redis has not answered: the waits that are over, or whose patience is, end with its error."""
        if self._failing_since is None:
            self._failing_since = now
        self._retry_at = now + Patience.PAUSE
        self._urgent.update(dict.fromkeys(self._reading))
        self._reading.clear()
        for watch in self.owned(None):
            deadline = watch.deadline
            missing = now - max(self._failing_since, watch.began)
            if missing >= Patience.OUTAGE or (deadline is not None and deadline <= now):
                self.discard(watch)
                # Each wait raises an error of its own, to which Python attaches its traceback.
                own = StoreUnavailable(str(error))
                own.__cause__ = error.__cause__
                watch.tell(own)

    def _forget(self, job_id: str) -> None:
        del self._watches[job_id]
        self._read_at.pop(job_id, None)
        for queue in (self._urgent, self._begun, self._again):
            queue.pop(job_id, None)
