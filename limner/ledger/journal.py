"""The journal: logs of jobs, the event stream, and callbacks that matched no job."""

from dataclasses import dataclass
from typing import Any, Final

from limner.ledger.layout.keys import CALLBACKS, ENDED, EVENTS, LOG, UNMATCHED_CALLBACKS
from limner.ledger.messages import Adoption, moment, to_ms
from limner.ledger.pieces import entries
from limner.ledger.record import log_entry, stream_event
from limner.ledger.store import Reading, Store
from limner.status import Event, LogEntry, UnmatchedCallback

KEEP_UNMATCHED: Final = 10_000
UNMATCHED_SECONDS: Final = 14 * 86_400
"""The limits of the stream of unmatched callbacks: entries, and seconds after the last one."""


@dataclass(frozen=True, slots=True)
class Journal:
    """The logs, the event stream and the callbacks of an account group. Raises StoreUnavailable."""

    store: Store

    def log(self, job_id: str) -> list[LogEntry]:
        """The job's log, oldest entry first. It has the last 200 entries at most."""
        return self.store.ask(self.reading_of_log(job_id))

    def reading_of_log(self, job_id: str) -> Reading[list[LogEntry]]:
        """The same as a reading."""
        [entries] = yield lambda pipe: pipe.lrange(LOG(self.store.prefix, job_id), 0, -1)
        return [log_entry(text) for text in entries]

    def events(self, after: str = "$", *, block: float = 1.0, count: int = 100) -> list[Event]:
        """The events after the given id. Waits up to ``block`` seconds for the first one.

        "0" begins with the oldest event kept, "$" with the next one to come.
        """
        wait = max(1, to_ms(min(block, self.store.longest_block)))
        with self.store.client() as client:
            return _events(client.xread({EVENTS(self.store.prefix): after}, count=count, block=wait))

    def events_now(self, after: str, *, count: int = 100) -> Reading[list[Event]]:
        """The same without waiting."""
        [answer] = yield lambda pipe: pipe.xread({EVENTS(self.store.prefix): after}, count=count)
        return _events(answer)

    @staticmethod
    def newest() -> Reading[str]:
        """The id after which the events begin that come from now on."""
        # Not "$": asked for again and again until the first event comes, it would miss some.
        [(seconds, microseconds)] = yield lambda pipe: pipe.time()
        return str(seconds * 1000 + microseconds // 1000)

    def channel(self, job_id: str) -> str:
        """The pub/sub channel on which the end of a job is published."""
        return ENDED(self.store.prefix, job_id)

    # Callbacks

    def unmatched_callbacks(self) -> list[UnmatchedCallback]:
        """The callbacks for unknown jobs, the newest last. Their tasks may have been paid for."""
        with self.store.client() as client:
            return [
                UnmatchedCallback(fields["job"], fields["task"], moment(int(entry.partition("-")[0])))
                for entry, fields in entries(client, UNMATCHED_CALLBACKS(self.store.prefix))
            ]

    def keep_unmatched(self, job_id: str, task_id: str) -> None:
        """Record an unmatched callback, one for an unknown job, and count it."""
        key = UNMATCHED_CALLBACKS(self.store.prefix)
        with self.store.pipeline() as pipe:
            pipe.xadd(key, {"job": job_id, "task": task_id}, maxlen=KEEP_UNMATCHED, approximate=True)
            pipe.expire(key, UNMATCHED_SECONDS)
            pipe.hincrby(CALLBACKS(self.store.prefix), Adoption.UNKNOWN_JOB, 1)
            pipe.execute()

    def drop_unmatched(self, job_id: str) -> bool:
        """Forget an unmatched callback, for which somebody has made the job's id up, and its count.

        Returns False if there is none.
        """
        key = UNMATCHED_CALLBACKS(self.store.prefix)
        with self.store.client() as client:
            found = [entry for entry, fields in entries(client, key) if fields["job"] == job_id]
            if found:
                client.xdel(key, *found)
                counts = CALLBACKS(self.store.prefix)
                if client.hincrby(counts, Adoption.UNKNOWN_JOB, -len(found)) <= 0:
                    client.hdel(counts, Adoption.UNKNOWN_JOB)
        return bool(found)

    def count_callback(self, outcome: str) -> None:
        """Count a callback that named no attempt."""
        with self.store.client() as client:
            client.hincrby(CALLBACKS(self.store.prefix), outcome, 1)

    def callback_counts(self) -> dict[str, int]:
        """The number of callbacks by outcome."""
        with self.store.client() as client:
            counts = client.hgetall(CALLBACKS(self.store.prefix))
        return {outcome: int(count) for outcome, count in counts.items()}


def _events(answer: Any) -> list[Event]:
    found = answer[0][1] if answer else []
    return [stream_event(entry_id, fields) for entry_id, fields in found]
