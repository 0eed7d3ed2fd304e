"""Pauses of an account by the provider or by a person: the requests meanwhile, and the resumption."""

import signal
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import pytest

from limner import Job, Limner, errors
from limner._redis import connect
from limner.ledger import Ledger
from limner.pauses import EndsBy, Pause
from sandbox.kie.server import SandboxProvider
from sandbox.local.fleet import LocalFleet
from tests.conftest import eventually
from tests.integration.fleet.conftest import ROOMY, quick_provider

WAIT = 60.0
WORKERS, THREADS = 2, 4
ON_THE_WIRE = WORKERS * THREADS
LATENCY = 0.15
"""Seconds until a createTask is answered, and so until the fleet can learn of a refusal."""
FIRST_PAUSE = 0.3
KEY = "sandbox-key"

NARROW = {
    **ROOMY,
    "LIMNER_CONCURRENCY": str(THREADS),
    "LIMNER_PAUSE_SECONDS": str(FIRST_PAUSE),
    # Refusals that pause the account must not count as attempts, since a job has only one here.
    "LIMNER_MAX_ATTEMPTS": "1",
}


@pytest.fixture(scope="module")
def fleet() -> Iterator[LocalFleet]:
    # With callbacks no job waits for a poll; the callbacks come after the answers.
    provider = quick_provider(create_latency=LATENCY, duration=0.5)
    with LocalFleet(workers=WORKERS, callbacks=True, settings=NARROW, provider=provider) as running:
        yield running


@pytest.fixture
def provider(fleet: LocalFleet, limner: Limner) -> SandboxProvider:
    """The stand-in, reset after the previous test."""
    assert fleet.provider
    return fleet.provider


def attempts(provider: SandboxProvider) -> list[dict[str, Any]]:
    return [call for call in provider.calls() if call["endpoint"] == "createTask"]


def outcomes(provider: SandboxProvider) -> list[str]:
    return [call["outcome"] for call in attempts(provider)]


def pause(limner: Limner) -> Pause | None:
    [account] = limner.accounts()
    return account.pause


def finish(jobs: Sequence[Job]) -> None:
    for job in jobs:
        assert job.result(WAIT).urls


def states(jobs: Sequence[Job]) -> set[str]:
    return {job.status().state.value for job in jobs}


def let_time_pass(limner: Limner) -> None:
    """Wait until an unsent job has expired, so that a dispatcher has had time to send others."""
    with pytest.raises(errors.Expired):
        limner.submit("passing time", expires_in=1.0).result(WAIT)


def stop_worker(fleet: LocalFleet, index: int) -> None:
    """Stop a worker cleanly, after its current requests have been answered."""
    fleet.workers[index].child.signal(signal.SIGTERM)
    assert fleet.workers[index].child.wait(20) == 0


def check_one_by_one(calls: Sequence[dict[str, Any]]) -> None:
    """Check that each call was sent only after the previous one was answered."""
    for earlier, later in pairwise(calls):
        assert later["at_ms"] - earlier["at_ms"] > LATENCY * 1000


def test_maintenance_pauses_all_workers_until_one_probe_succeeds(
    fleet: LocalFleet, limner: Limner, provider: SandboxProvider
) -> None:
    provider.faults(create_455={"seconds": 2.0})
    jobs = limner.submit_many(f"in maintenance {number}" for number in range(60))
    eventually(lambda: pause(limner))
    paused = pause(limner)
    assert paused
    assert (paused.cause, paused.ends_by) == ("maintenance", EndsBy.PROBE)
    finish(jobs)

    calls = attempts(provider)
    answers = [call["outcome"] for call in calls]
    refused = answers.count("455")
    assert answers == ["455"] * refused + ["200"] * 60
    # The requests on the wire, and one at the end of each pause, which lasted 0.3 s, 0.6 s, 1 s and 1 s.
    assert 1 < refused <= ON_THE_WIRE + 4
    # From the last pause on, the others are sent only after the probe was accepted.
    check_one_by_one(calls[ON_THE_WIRE : refused + 2])
    with connect(fleet.redis_url) as client:
        records = [Ledger(client).jobs.read(job.id) for job in jobs]
    assert sum(record.attempt for record in records if record) == 60 + refused
    assert {record.tries for record in records if record} == {1}
    eventually(lambda: pause(limner) is None)


def test_a_manual_pause_ends_by_hand(limner: Limner, provider: SandboxProvider) -> None:
    finish(limner.submit_many(["before"]))
    limner.pause(reason="the budget is under review")
    paused = pause(limner)
    assert paused
    assert (paused.cause, paused.ends_by) == ("by_hand", EndsBy.PERSON)
    assert paused.message == "the budget is under review"
    jobs = limner.submit_many(f"behind a person {number}" for number in range(20))
    let_time_pass(limner)
    assert states(jobs) == {"queued"}
    assert outcomes(provider) == ["200"]
    assert limner.resume()
    finish(jobs)
    assert outcomes(provider) == ["200"] * 21


def test_a_manual_pause_does_not_stop_current_requests(limner: Limner, provider: SandboxProvider) -> None:
    provider.faults(slow_answer={"next": 1, "seconds": 1.0})
    job = limner.submit("on the wire")
    eventually(lambda: provider.summary()["created"] == 1)
    limner.pause()
    finish([job])
    assert pause(limner)
    assert limner.resume()


def test_a_manual_pause_can_have_a_duration(limner: Limner, provider: SandboxProvider) -> None:
    paused_at = time.time()
    limner.pause(seconds=1.0)
    jobs = limner.submit_many(f"soon {number}" for number in range(5))
    finish(jobs)
    assert outcomes(provider) == ["200"] * 5
    assert attempts(provider)[0]["at_ms"] >= (paused_at + 1.0) * 1000
    assert pause(limner) is None


def test_a_refused_key_is_asked_about_until_it_is_good(limner: Limner, provider: SandboxProvider) -> None:
    provider.revoke(KEY)
    jobs = limner.submit_many(f"revoked {number}" for number in range(20))
    eventually(lambda: pause(limner))
    paused = pause(limner)
    assert paused
    assert (paused.cause, paused.ends_by) == ("unauthorized", EndsBy.KEY)
    assert paused.until
    let_time_pass(limner)
    assert set(outcomes(provider)) == {"401"}
    assert states(jobs) == {"queued"}
    provider.restore(KEY)
    finish(jobs)
    calls = attempts(provider)
    accepted = [call for call in calls if call["outcome"] == "200"]
    assert len(accepted) == 20
    # The balance is read before, so that no good key is probed in vain.
    assert calls[-20:] == accepted
    check_one_by_one(calls[-20:-18])


def test_one_false_401_costs_a_moment(limner: Limner, provider: SandboxProvider) -> None:
    provider.faults(create_401={"next": 1})
    finish(limner.submit_many(f"mostly fine {number}" for number in range(20)))
    assert sorted(outcomes(provider)) == ["200"] * 20 + ["401"]


def test_trouble_on_the_way_closes_the_account_and_costs_no_job(
    limner: Limner, provider: SandboxProvider
) -> None:
    provider.faults(html_before={"seconds": 2.0, "variant": "525"})
    jobs = limner.submit_many(f"behind a gateway {number}" for number in range(60))
    eventually(lambda: pause(limner))
    paused = pause(limner)
    assert paused
    assert (paused.cause, paused.ends_by) == ("gateway", EndsBy.PROBE)
    assert all("525" in answer for answer in paused.answers)
    finish(jobs)
    refused = [outcome for outcome in outcomes(provider) if outcome != "200"]
    # What was on the wire, and then one probe a pause.
    assert len(refused) <= ON_THE_WIRE + 6
    assert {job.status().attempts for job in jobs} >= {1}
    assert len(provider.ledger()) == 60


def test_a_worker_with_another_key_ends_the_pause_of_a_refused_key() -> None:
    with (
        LocalFleet(
            callbacks=True, settings=NARROW, provider=quick_provider(keys="key-1-old,key-2-new")
        ) as fleet,
        Limner(fleet.redis_url) as limner,
    ):
        assert fleet.provider
        fleet.provider.revoke("key-1-old")
        jobs = limner.submit_many(f"rotated {number}" for number in range(20))
        eventually(lambda: pause(limner))
        stop_worker(fleet, 0)
        # The key is still refused in a new worker.
        fleet.start_worker()
        let_time_pass(limner)
        assert states(jobs) == {"queued"}
        assert set(outcomes(fleet.provider)) == {"401"}
        stop_worker(fleet, 1)
        fleet.start_worker(settings={"LIMNER_API_KEY": "key-2-new"})
        finish(jobs)
        assert [call["key"] for call in attempts(fleet.provider) if call["outcome"] == "200"] == [1] * 20
        eventually(lambda: pause(limner) is None)
