"""Steps of the clock of the Redis host: they neither freeze the fleet nor end jobs."""

from dataclasses import dataclass, replace
from typing import Any

import pytest

from limner._redis import connect
from limner.ledger import Claimed, Closing, Ledger, Quota
from tests.integration.limner.ledger import speaking
from tests.integration.limner.ledger.conftest import Bench, new
from tests.integration.limner.ledger.stories import NO_ANSWER, REFUSED, record

HOUR = 3600.0
QUOTA = Quota(3, 10.0, 10, 1.0, 100)


@dataclass
class Host(Bench):
    """A Redis host whose clock somebody sets, and workers with steady clocks."""

    steady: float = 0.0

    def __post_init__(self) -> None:
        self.ledger = self.worker()
        self.quota = QUOTA

    def worker(self) -> Ledger:
        return Ledger(self.client, clock=lambda: self.now, steady=lambda: self.steady)

    def passes(self, seconds: float) -> None:
        """Let time pass, with a claim each second, as a dispatcher makes them."""
        for _ in range(round(seconds)):
            self.now += 1.0
            self.steady += 1.0
            assert self.claim().steps == []

    def step(self, seconds: float) -> None:
        """Set the clock of the Redis host; half a second passes meanwhile."""
        self.now += seconds + 0.5
        self.steady += 0.5


@pytest.fixture
def host(valkey_url: str) -> Any:
    with connect(valkey_url) as client:
        yield Host(client)


both_ways = pytest.mark.parametrize("step", [HOUR, -HOUR, 120.0, -120.0])


@both_ways
def test_a_step_is_told_once_with_its_size(host: Host, step: float) -> None:
    host.claim()
    host.step(step)
    assert [host.claim().stepped for _ in range(3)] == [step, 0.0, 0.0]


@both_ways
def test_a_job_that_is_polled_keeps_its_time_and_its_deadline(host: Host, step: float) -> None:
    job_id = host.generating(poll_in=5.0)
    left = record(host, job_id).deadline.timestamp() - host.now  # type: ignore[union-attr]
    host.step(step)
    assert host.claim().steps == []
    host.passes(4)
    host.now, host.steady = host.now + 1, host.steady + 1
    poll = host.claim_one()
    assert (poll.job_id, poll.step) == (job_id, "poll")
    found = speaking.begin_poll(host.ledger, job_id, poll.lease)
    assert found
    assert found.deadline
    assert found.deadline.timestamp() - host.now == pytest.approx(left - 5.5, abs=1.0)


@both_ways
def test_a_doubt_lasts_as_long_as_it_should(host: Host, step: float) -> None:
    job_id, grant = host.sending()
    assert host.ledger.jobs.doubt(job_id, grant.attempt, NO_ANSWER, grace=5.0)
    host.step(step)
    host.passes(4)
    host.now, host.steady = host.now + 1, host.steady + 1
    assert host.claim_one().step == "recover"


@both_ways
def test_a_job_does_not_expire_by_it(host: Host, step: float) -> None:
    host.claim()
    host.ledger.accounts.pause("main")
    job_id = host.submit(expires_in=10.0)
    host.step(step)
    host.passes(8)
    assert host.state(job_id) == "queued"
    host.now, host.steady = host.now + 3, host.steady + 3
    host.claim()
    assert host.state(job_id) == "expired"


@both_ways
def test_a_job_starts_when_it_should(host: Host, step: float) -> None:
    host.claim()
    job_id = host.ledger.jobs.submit(replace(new("later"), starts_in=5.0)).job_id
    host.step(step)
    host.claim()
    host.passes(4)
    host.now, host.steady = host.now + 1, host.steady + 1
    assert host.claim_one().job_id == job_id


@both_ways
def test_a_quota_is_neither_broken_nor_frozen(host: Host, step: float) -> None:
    for number in range(4):
        host.submit(f"fox {number}")
    assert len(host.claim().steps) == 3
    host.step(step)
    host.passes(8)
    host.now, host.steady = host.now + 3, host.steady + 3
    assert len(host.claim().steps) == 1


@both_ways
def test_a_pause_lasts_as_long_as_it_should(host: Host, step: float) -> None:
    job_id, grant = host.sending()
    assert host.ledger.jobs.retry(
        job_id, grant.attempt, REFUSED, delay=1.0, pause=Closing("unavailable", 5.0, 60.0)
    )
    host.claim()
    host.step(step)
    host.passes(4)
    host.now, host.steady = host.now + 2, host.steady + 2
    assert host.claim_one().job_id == job_id


def test_a_poll_that_was_claimed_before_it_does_not_begin_after_it(host: Host) -> None:
    job_id = host.generating(poll_in=0.0)
    poll = host.claim_one()
    host.step(HOUR)
    assert speaking.begin_poll(host.ledger, job_id, poll.lease) is None
    host.claim()
    assert speaking.begin_poll(host.ledger, job_id, poll.lease)


@both_ways
def test_a_second_worker_does_not_move_the_times_again(host: Host, step: float) -> None:
    other = host.worker()

    def claims() -> Claimed:
        return other.queue.claim(Quota(3, 10.0, 10, 1.0, 100, account="another"))

    claims()
    job_id = host.generating(poll_in=600.0)
    host.step(step)
    assert host.claim().stepped != 0.0
    due = host.client.zscore(host.ledger.prefix + "due", job_id)
    assert claims().stepped == 0.0
    assert host.client.zscore(host.ledger.prefix + "due", job_id) == due


def test_a_worker_that_was_stopped_while_others_claimed_sees_no_step(host: Host) -> None:
    host.claim()
    other = host.worker()
    for _ in range(20):
        # Time passes, and the stopped worker's clock has stopped with it.
        host.now += 10.0
        other.queue.claim(QUOTA)
    assert host.claim().stepped == 0.0


def test_a_fleet_that_rests_for_an_hour_sees_no_step(host: Host) -> None:
    job_id = host.generating(poll_in=2.0)
    host.now, host.steady = host.now + HOUR, host.steady + HOUR
    claimed = host.claim()
    assert (claimed.stepped, [step.job_id for step in claimed.steps]) == (0.0, [job_id])
