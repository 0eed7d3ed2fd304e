"""Whatever a failover loses, no job is bought twice that nobody has decided to send again."""

from collections import Counter
from typing import Any

import pytest
import redis
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from limner.ledger import Claim, Grant, Ledger, Quota
from tests.integration.limner.ledger.conftest import START, new
from tests.integration.limner.ledger.model.world import STORIES
from tests.integration.limner.ledger.test_losses import Snapshots

QUOTA = Quota(20, 10.0, 20, 1.0, 50)
WORKERS = st.integers(0, 2)
WHICH = st.integers(0, 3)


class Failovers(RuleBasedStateMachine):
    """Three workers, a provider that accepts or refuses, and a replica that takes over with older data.

    Every worker that lives claims within the quiet time. The one that is lost with the server is a worker of
    which another one has seen its last attempt.
    """

    raw: Any
    client: Any

    def __init__(self) -> None:
        super().__init__()
        self.now, self.submitted, self.servers = START, 0, 0
        self.bought: Counter[str] = Counter()
        self.resent: Counter[str] = Counter()

    @initialize()
    def a_fleet_starts(self) -> None:
        self.raw.flushall()
        self.snapshots = Snapshots(self.raw)
        self.workers = [self.worker() for _ in range(3)]
        self.steps: list[list[Claim]] = [[] for _ in self.workers]
        self.wire: list[list[tuple[str, int]]] = [[] for _ in self.workers]
        for number in range(3):
            self.claim(number)
        self.replica = self.snapshots.take()

    def worker(self) -> Ledger:
        return Ledger(self.client, clock=lambda: self.now)

    @rule()
    def submit(self) -> None:
        self.submitted += 1
        self.workers[0].jobs.submit(new(f"fox {self.submitted}"))

    @rule(number=WORKERS)
    def claim(self, number: int) -> None:
        self.now += 0.5
        self.steps[number] += self.workers[number].queue.claim(QUOTA).steps

    @rule(number=WORKERS, which=WHICH)
    def send(self, number: int, which: int) -> None:
        if not self.steps[number]:
            return
        step = self.steps[number].pop(which % len(self.steps[number]))
        jobs = self.workers[number].jobs
        if step.step == "create":
            token = f"token {self.submitted} {len(self.bought)} {self.now}"
            grant = jobs.begin(step.job_id, step.lease, token, deadline=900)
            if isinstance(grant, Grant):
                self.bought[step.job_id] += 1
                self.wire[number].append((step.job_id, grant.attempt))
        elif step.step == "recover":
            record = jobs.read(step.job_id)
            if record and record.lease == step.lease and record.state == "sending":
                jobs.doubt(step.job_id, record.attempt, {"cause": "lease"}, grace=0.0)

    # Chance alone would seldom send something in the time that is lost, or go on after it.
    @rule(number=WORKERS, behind=st.booleans())
    def a_job_is_sent(self, number: int, behind: bool) -> None:
        self.submit()
        if not behind:
            self.the_replica_catches_up()
        self.claim(number)
        self.send(number, -1)

    @rule(number=WORKERS)
    def all_that_may_be_sent_is_sent(self, number: int) -> None:
        self.a_window_passes()
        for _ in range(2):
            self.claim(number)
            while self.steps[number]:
                self.send(number, 0)

    @rule(number=WORKERS, accepts=st.booleans())
    def answer(self, number: int, accepts: bool) -> None:
        if not self.wire[number]:
            return
        job_id, attempt = self.wire[number].pop(0)
        if accepts:
            self.workers[number].jobs.accepted(
                job_id, attempt, f"task {job_id} {attempt} {self.now}", poll_in=900
            )
        else:
            self.bought[job_id] -= 1
            self.workers[number].jobs.retry(job_id, attempt, {"cause": "later"}, delay=0.0)

    @rule(which=WHICH)
    def a_person_sends_again(self, which: int) -> None:
        doubts = self.workers[0].jobs.doubts()
        if doubts and self.workers[0].jobs.resubmit(doubts[which % len(doubts)].job_id):
            self.resent[doubts[which % len(doubts)].job_id] += 1

    @rule()
    def the_replica_catches_up(self) -> None:
        self.replica = self.snapshots.take()

    @rule()
    def a_window_passes(self) -> None:
        self.now += 12.0

    @rule(lost=st.sampled_from([None, None, 0, 1, 2]), order=st.permutations(range(3)))
    def the_replica_takes_over(self, lost: int | None, order: list[int]) -> None:
        if lost is not None:
            # Another worker sees the last attempts of the one that is lost.
            self.claim((lost + 1) % 3)
            self.workers[lost] = self.worker()
            self.steps[lost].clear()
            self.wire[lost].clear()
        self.snapshots.restore(self.replica)
        self.servers += 1
        self.client.hset("limner:{main}:epoch", "server", f"server {self.servers}")
        # What a worker holds or claims, it tries to send, before the others have come back.
        for number in order:
            self.send(order[-1], 0)
            self.claim(number)
            self.send(number, -1)
        self.replica = self.snapshots.take()

    @invariant()
    def nothing_is_bought_twice(self) -> None:
        for job_id, times in self.bought.items():
            assert times <= 1 + self.resent[job_id], job_id


@pytest.mark.timeout(600)
def test_no_failover_buys_twice(valkey_url: str) -> None:
    with (
        redis.Redis.from_url(valkey_url) as raw,
        redis.Redis.from_url(valkey_url, decode_responses=True) as client,
    ):
        machine = type("Machine", (Failovers,), {"raw": raw, "client": client})
        run_state_machine_as_test(
            machine, settings=settings(STORIES, max_examples=60, stateful_step_count=50)
        )
