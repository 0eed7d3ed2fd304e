"""The log of createTask and recordInfo calls: arrival, account and outcome of each."""

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
"""The most calls in the log, about 150 MB; then the oldest are dropped."""
PAGE: Final = 10_000
PENDING: Final = "pending"
"""The outcome of a call that is still being answered."""


class Arrival(NamedTuple):
    """A call that is being answered."""

    number: int
    """From 1, in the order of arrival."""
    endpoint: str
    now: float
    """The arrival of the whole request, in epoch seconds. Limits count the call at this time."""
    caller: Caller | None
    """None for an unknown key."""


# A tuple of plain values instead of an object: the garbage collector stops tracking it.
_Kept = tuple[float, str, str | None, int | None, str, str | None]


class Calls:
    """The log of calls and, for each account, the outcomes of its calls and the peak of its reads."""

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
        """Log a call on its arrival; a read counts towards its key's peak."""
        self._arrived += 1
        account, key = (caller.account.name, caller.key_index) if caller else (None, None)
        self._log.append((now * 1000, endpoint, account, key, PENDING, task_id))
        if endpoint == READ and account is not None and key is not None:
            self._reads[account, key].add(now)
        return Arrival(self._arrived, endpoint, now, caller)

    def created(self, arrival: Arrival, task_id: str) -> None:
        """Log the task that a createTask call created, even if its caller never learns of it."""
        self._change(arrival, task_id=task_id)

    def ended(self, arrival: Arrival, outcome: str) -> None:
        """Log a call's outcome: the code of the answer, or the kind of its absence."""
        # A million calls share a few dozen outcomes.
        self._change(arrival, outcome=sys.intern(str(outcome)))
        if arrival.caller is not None:
            self._outcomes[arrival.caller.account.name][arrival.endpoint][outcome] += 1

    def page(self, after: int) -> dict[str, Any]:
        """The calls that arrived after number ``after``, oldest first, at most :data:`PAGE` of them.

        ``more`` is true if there are later ones.
        """
        dropped = self._arrived - len(self._log)
        first = max(after - dropped, 0)
        page = itertools.islice(self._log, first, first + PAGE)
        return {
            "calls": [_to_json(dropped + first + place, kept) for place, kept in enumerate(page, 1)],
            "more": first + PAGE < len(self._log),
        }

    def of(self, account: str, keys: int) -> dict[str, Any]:
        """An account's outcomes by endpoint, and the read peaks of its ``keys`` keys by index."""
        return {
            "calls": self._outcomes.get(account, {}),
            "most_reads_in_second": [
                peak.most if (peak := self._reads.get((account, key))) else 0 for key in range(keys)
            ],
        }

    @property
    def most_reads_in_second(self) -> int:
        """The highest peak of any single key, including refused reads."""
        return max((peak.most for peak in self._reads.values()), default=0)

    def _change(self, arrival: Arrival, *, outcome: str | None = None, task_id: str | None = None) -> None:
        # The call is near the end of the deque, where access by index is fast.
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
