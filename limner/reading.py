"""What the ledger tells: nothing of a job is changed here."""

from datetime import UTC, datetime
from typing import Any

from limner.bell import Bell
from limner.connection import store_errors
from limner.records import RECORD_VERSION, Event, LogEntry, Record
from limner.scripts import Scripts, moment, to_ms
from limner.terms import Stray


class Reading(Scripts):
    """Records, logs, events and counts; and the bell that wakes clocks."""

    def read(self, job_id: str) -> Record | None:
        """The job's record, or None for an unknown one."""
        with store_errors(self._redis), self._redis.pipeline(transaction=False) as pipe:
            pipe.hgetall(self.record_key(job_id))
            pipe.time()
            fields, (seconds, microseconds) = pipe.execute()
        now = self._clock() if self._clock else seconds + microseconds / 1e6
        return Record.from_hash(job_id, fields, datetime.fromtimestamp(now, UTC)) if fields else None

    def _hash(self, job_id: str) -> dict[str, str]:
        with store_errors(self._redis):
            fields: dict[str, str] = self._redis.hgetall(self.record_key(job_id))
        return fields

    def doubts(self) -> list[Record]:
        """The jobs with an attempt of which it is not known whether it was accepted, the oldest first.

        Those that have ended so are among them for as long as their record is kept.
        """
        index = self.prefix + "doubts"
        with store_errors(self._redis):
            job_ids = self._redis.zrange(index, 0, -1)
            with self._redis.pipeline(transaction=False) as pipe:
                for job_id in job_ids:
                    pipe.hgetall(self.record_key(job_id))
                found = list(zip(job_ids, pipe.execute(), strict=True))
            if gone := [job_id for job_id, fields in found if not fields]:
                self._redis.zrem(index, *gone)
        return [
            Record.from_hash(job_id, fields)
            for job_id, fields in found
            if fields and int(fields["v"]) <= RECORD_VERSION
        ]

    def strays(self) -> list[Stray]:
        """The callbacks for jobs that are not known here, the newest last: they may have been paid for."""
        with store_errors(self._redis):
            entries = self._redis.xrange(self.prefix + "strays")
        return [
            Stray(fields["job"], fields["task"], moment(int(entry.partition("-")[0])))
            for entry, fields in entries
        ]

    def callback_counts(self) -> dict[str, int]:
        """How many callbacks there were, by what they came to."""
        with store_errors(self._redis):
            counts = self._redis.hgetall(self.prefix + "callbacks")
        return {outcome: int(count) for outcome, count in counts.items()}

    def log(self, job_id: str) -> list[LogEntry]:
        """What happened to the job, oldest first; at most the last 200 entries."""
        with store_errors(self._redis):
            return [
                LogEntry.from_json(text) for text in self._redis.lrange(self.prefix + "log:" + job_id, 0, -1)
            ]

    def events(self, after: str = "$", *, block: float = 1.0, count: int = 100) -> list[Event]:
        """Events after the one of that id, waiting up to ``block`` seconds for the first.

        "0" begins with the oldest one kept, "$" with the next to come.
        """
        with store_errors(self._redis):
            wait = max(1, to_ms(min(block, self._longest_block)))
            answer: Any = self._redis.xread({self.prefix + "events": after}, count=count, block=wait)
        entries = answer[0][1] if answer else []
        return [Event.from_stream(entry_id, fields) for entry_id, fields in entries]

    def server_facts(self) -> dict[str, Any]:
        """What the server says of itself (INFO)."""
        with store_errors(self._redis):
            facts: dict[str, Any] = self._redis.info()
        return facts

    def bell(self) -> Bell:
        """What rings when something may be due sooner than was thought."""
        return Bell(self._redis, self.prefix + "bell")

    def channel(self, job_id: str) -> str:
        """The pub/sub channel that tells the end of a job."""
        return f"{self.prefix}ended:{job_id}"
