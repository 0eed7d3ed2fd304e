"""Every createTask and recordInfo call: when it arrived, whose it was and how it ended."""

import itertools
import sys
from collections import Counter, defaultdict, deque
from typing import Any, Final, NamedTuple

from sandbox.kie.accounts.accounts import Caller
from sandbox.kie.limits.peaks import Peak

__all__ = ["CREATE", "PENDING", "READ", "Arrival", "Calls"]

CREATE: Final = "createTask"
READ: Final = "recordInfo"
KEPT: Final = 1_000_000
"""Calls in the log, about 150 MB; the oldest are dropped for newer ones."""
PAGE: Final = 10_000
PENDING: Final = "pending"
"""The outcome of a call that is still being answered."""


class Arrival(NamedTuple):
    """A call that is being answered."""

    number: int
    """From 1, in the order of arrival."""
    endpoint: str
    now: float
    """When the whole request was there, in epoch seconds: the moment at which limits judge it."""
    caller: Caller | None
    """None for a key of nobody."""


# A tuple of plain values and no object: the garbage collector stops polling it.
_Kept = tuple[float, str, str | None, int | None, str, str | None]


class Calls:
    """The log, and by account how calls ended and how many reads of each key came in one second."""

    def __init__(self) -> None:
        self._log: deque[_Kept] = deque(maxlen=KEPT)
        self._arrived = 0
        self._outcomes: defaultdict[str, defaultdict[str, Counter[str]]] = defaultdict(
            lambda: defaultdict(Counter)
        )
        self._reads: defaultdict[tuple[str, int], Peak] = defaultdict(lambda: Peak(1.0))

    def arrived(
        self, endpoint: str, now: float, caller: Caller | None, task_id: str | None = None
    ) -> Arrival:
        """Enter a call, whatever will become of it; reads count towards their key's peak."""
        self._arrived += 1
        whose, key = (caller.account.name, caller.key_index) if caller else (None, None)
        self._log.append((now * 1000, endpoint, whose, key, PENDING, task_id))
        if endpoint == READ and whose is not None and key is not None:
            self._reads[whose, key].add(now)
        return Arrival(self._arrived, endpoint, now, caller)

    def created(self, arrival: Arrival, task_id: str) -> None:
        """A createTask call made that task, whatever its caller will learn of it."""
        self._change(arrival, task_id=task_id)

    def ended(self, arrival: Arrival, outcome: str) -> None:
        """How it ended: the code that was answered, or the kind of non-answer."""
        # A few dozen outcomes for a million calls.
        self._change(arrival, outcome=sys.intern(str(outcome)))
        if arrival.caller is not None:
            self._outcomes[arrival.caller.account.name][arrival.endpoint][outcome] += 1

    def page(self, after: int) -> dict[str, Any]:
        """The calls that arrived after number ``after``, oldest first, at most :data:`PAGE` of them.

        ``more`` says whether there are later ones.
        """
        dropped = self._arrived - len(self._log)
        first = max(after - dropped, 0)
        found = itertools.islice(self._log, first, first + PAGE)
        return {
            "calls": [_to_json(dropped + first + place, kept) for place, kept in enumerate(found, 1)],
            "more": first + PAGE < len(self._log),
        }

    def of(self, account: str, keys: int) -> dict[str, Any]:
        """An account's outcomes by endpoint, and the peak of each of its ``keys`` by the key's index."""
        return {
            "calls": self._outcomes.get(account, {}),
            "most_reads_in_second": [
                peak.most if (peak := self._reads.get((account, key))) else 0 for key in range(keys)
            ],
        }

    @property
    def most_reads_in_second(self) -> int:
        """Of any one key, accepted or not."""
        return max((peak.most for peak in self._reads.values()), default=0)

    def _change(self, arrival: Arrival, *, outcome: str | None = None, task_id: str | None = None) -> None:
        # Near the end of the deque, where it is reached fast.
        place = arrival.number - 1 - (self._arrived - len(self._log))
        if 0 <= place < len(self._log):
            at_ms, endpoint, account, key, was, task = self._log[place]
            self._log[place] = (at_ms, endpoint, account, key, outcome or was, task_id or task)


def _to_json(number: int, kept: _Kept) -> dict[str, Any]:
    at_ms, endpoint, account, key, outcome, task_id = kept
    return {
        "number": number,
        "at_ms": at_ms,
        "endpoint": endpoint,
        "account": account,
        "key": key,
        "outcome": outcome,
        "task_id": task_id,
    }
