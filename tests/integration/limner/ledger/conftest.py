"""A ledger on a real Valkey, with a clock that the test sets."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from limner._redis import connect
from limner.ledger import Claim, Claimed, Grant, Ledger, Quota, Submission, TaskEnd
from limner.models import TextToImage
from limner.submission import prepare
from tests.growth import unbounded
from tests.integration.limner.ledger import speaking

START = 1_800_000_000.0


@dataclass
class Bench:
    """The ledger under test, its time, and shortcuts to the states of a job."""

    # redis-py's annotations cannot tell decoded answers from bytes.
    client: Any
    now: float = START
    quota: Quota = field(default_factory=lambda: Quota(20, 10.0, 10, 1.0, 100))
    spoilt: bool = False
    """True if the test has left keys behind that the ledger itself would not."""

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.client, clock=lambda: self.now)

    def claim(self, quota: Quota | None = None) -> Claimed:
        return self.ledger.queue.claim(quota or self.quota)

    def claim_one(self) -> Claim:
        [step] = self.claim().steps
        return step

    def submit(self, prompt: str = "a fox", **options: object) -> str:
        return self.ledger.jobs.submit(new(prompt, **options)).job_id

    def sending(self, prompt: str = "a fox") -> tuple[str, Grant]:
        job_id = self.submit(prompt)
        grant = self.ledger.jobs.begin(job_id, self.claim_one().lease, "token", deadline=900)
        assert isinstance(grant, Grant)
        return job_id, grant

    def generating(self, prompt: str = "a fox", poll_in: float = 2.0) -> str:
        job_id, grant = self.sending(prompt)
        assert self.ledger.jobs.accepted(job_id, grant.attempt, f"task of {prompt}", poll_in=poll_in)
        return job_id

    def succeed(self, job_id: str, url: str = "https://a", cost: Decimal | None = None) -> TaskEnd:
        """Report that the polled task has made its image."""
        return speaking.task_succeeded(self.ledger, job_id, self.task_id(job_id), [url], cost, ttl=60)

    def stored(self, job_id: str, ttl: float = 60) -> bool:
        """Mark the result of the job's end as stored."""
        record = self.ledger.jobs.read(job_id)
        assert record
        assert record.finished_at
        return self.ledger.jobs.stored(job_id, record.finished_at, ttl=ttl)

    def task_id(self, job_id: str) -> str:
        record = self.ledger.jobs.read(job_id)
        assert record
        assert record.task_id
        return record.task_id

    def events(self, job_id: str) -> list[str]:
        return [entry.event for entry in self.ledger.journal.log(job_id)]

    def state(self, job_id: str) -> str:
        record = self.ledger.jobs.read(job_id)
        assert record
        return record.state

    def position(self, job_id: str) -> tuple[int | None, datetime | None]:
        return self.ledger.store.ask(self.ledger.queue.position(job_id))

    def indexes(self, job_id: str) -> list[str]:
        """The indexes that hold the job."""
        parks = [
            f"over-budget:{name}" for name in self.client.zrange(self.ledger.prefix + "over-budget", 0, -1)
        ]
        return [
            name
            for name in ("due", "ready", "ready:polls:main", *parks)
            if self.client.zscore(self.ledger.prefix + name, job_id) is not None
        ]


def new(prompt: str = "a fox", **options: object) -> Submission:
    return prepare(TextToImage(prompt=prompt), **options)  # type: ignore[arg-type]


@pytest.fixture
def bench(valkey_url: str) -> Iterator[Bench]:
    with connect(valkey_url) as client:
        bench = Bench(client)
        yield bench
        assert bench.spoilt or unbounded(client, bench.ledger.prefix) == []
