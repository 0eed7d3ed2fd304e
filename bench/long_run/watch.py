"""A reader of the event stream, which watches a run without reading single jobs."""

import threading
from collections import Counter
from typing import Final

from limner._redis import connect
from limner.errors import StoreUnavailable
from limner.ledger import Ledger
from limner.status import JobState

__all__ = ["Watch"]

PAUSE: Final = 0.1
_ENDS: Final = frozenset(state.value for state in JobState if state.ended)


class Watch(threading.Thread):
    """Reads every event of a fleet from the first one on, across restarts of its Redis."""

    def __init__(self, redis_url: str) -> None:
        super().__init__(name="watch", daemon=True)
        self._client = connect(redis_url, timeout=5.0)
        self._ledger = Ledger(self._client)
        self._stopped = threading.Event()
        self.ended: set[str] = set()
        """The jobs that have ended."""
        self.named: set[str] = set()
        """The provider's tasks whose id an answer to createTask has named."""

        self.accepted: set[str] = set()
        """The jobs with a task."""
        self.pauses: Counter[str] = Counter()
        """The pauses of the account, by cause."""

    def run(self) -> None:
        """Read events until the thread is stopped."""
        after = "0"
        while not self._stopped.is_set():
            try:
                events = self._ledger.journal.events(after, block=0.5, count=1000)
            except StoreUnavailable:
                self._stopped.wait(PAUSE)
                continue
            for event in events:
                after = event.id
                if event.event in _ENDS:
                    self.ended.add(event.job_id)
                elif event.event == JobState.GENERATING:
                    self.named.add(event.detail["task_id"])
                    self.accepted.add(event.job_id)
                elif event.event == "paused":
                    self.pauses[event.detail["cause"]] += 1

    def stop(self) -> None:
        """End the thread, and close its connection."""
        self._stopped.set()
        self.join()
        self._client.close()
