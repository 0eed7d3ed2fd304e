"""An account that the provider, or a person, has stopped: what is sent meanwhile, and how it goes on."""

import signal
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import pytest

from limner import Job, Limner, errors
from limner._connection import connect
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
"""Seconds until a createTask is answered: until then, nobody can know what is wrong."""
FIRST_PAUSE = 0.3
KEY = "sandbox-key"

NARROW = {
    **ROOMY,
    "LIMNER_CONCURRENCY": str(THREADS),
    "LIMNER_PAUSE_SECONDS": str(FIRST_PAUSE),
    # Pauses do not count: with the one attempt that a job has here, they could not.
    "LIMNER_MAX_ATTEMPTS": "1",
}


@pytest.fixture(scope="module")
def fleet() -> Iterator[LocalFleet]:
    # With callbacks nobody waits for polls; they come after the answers.
    provider = quick_provider(create_latency=LATENCY, duration=0.5)
    with LocalFleet(workers=WORKERS, callbacks=True, settings=NARROW, provider=provider) as running:
        yield running


@pytest.fixture
def provider(fleet: LocalFleet, limner: Limner) -> SandboxProvider:
    """The stand-in, which has forgotten the test before."""
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
    """Until a job that nobody sends has expired: a dispatcher has ticked, and could have sent others."""
    with pytest.raises(errors.Expired):
        limner.submit("passing time", expires_in=1.0).result(WAIT)


def stop_worker(fleet: LocalFleet, index: int) -> None:
    """In order: what it has on the wire is answered first."""
    fleet.workers[index].child.signal(signal.SIGTERM)
    assert fleet.workers[index].child.wait(20) == 0


def check_one_by_one(calls: Sequence[dict[str, Any]]) -> None:
    """None of these was sent before the one before it was answered."""
    for one, next_one in pairwise(calls):
        assert next_one["at_ms"] - one["at_ms"] > LATENCY * 1000


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
    said = [call["outcome"] for call in calls]
    refused = said.count("455")
    assert said == ["455"] * refused + ["200"] * 60
    # Those on the wire, and then one at the end of each pause, which lasted 0.3 s, 0.6 s, 1 s and 1 s.
    assert 1 < refused <= ON_THE_WIRE + 4
    # From the last of the pauses on: the one, and only when it was taken, the others.
    check_one_by_one(calls[ON_THE_WIRE : refused + 2])
    with connect(fleet.redis_url) as client:
        records = [Ledger(client).jobs.read(job.id) for job in jobs]
    assert sum(record.attempt for record in records if record) == 60 + refused
    assert {record.tries for record in records if record} == {1}
    eventually(lambda: pause(limner) is None)


def test_a_manual_pause_ends_by_hand(limner: Limner, provider: SandboxProvider) -> None:
    finish(limner.submit_many(["before"]))
    limner.pause(reason="the budget is being polled")
    paused = pause(limner)
    assert paused
    assert (paused.cause, paused.ends_by) == ("by_hand", EndsBy.PERSON)
    assert paused.message == "the budget is being polled"
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


def test_a_refused_key_pauses_the_account_until_a_person_resumes_it(
    limner: Limner, provider: SandboxProvider
) -> None:
    provider.revoke(KEY)
    jobs = limner.submit_many(f"revoked {number}" for number in range(20))
    eventually(lambda: pause(limner))
    paused = pause(limner)
    assert paused
    assert (paused.cause, paused.ends_by, paused.until) == ("unauthorized", EndsBy.KEY, None)
    let_time_pass(limner)
    refused = outcomes(provider)
    assert set(refused) == {"401"}
    assert len(refused) <= ON_THE_WIRE
    # A person who is mistaken costs one request.
    assert limner.resume()
    eventually(lambda: len(outcomes(provider)) > len(refused))
    eventually(lambda: (now := pause(limner)) and now.ends_by is EndsBy.KEY)
    let_time_pass(limner)
    assert outcomes(provider) == ["401", *refused]
    assert states(jobs) == {"queued"}
    # And that the key is good again is not found out by trying it.
    provider.restore(KEY)
    let_time_pass(limner)
    assert states(jobs) == {"queued"}
    assert limner.resume()
    finish(jobs)
    calls = attempts(provider)[len(refused) + 1 :]
    assert [call["outcome"] for call in calls] == ["200"] * 20
    check_one_by_one(calls[:2])


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
        # The same key is as bad in a new worker.
        fleet.start_worker()
        let_time_pass(limner)
        assert states(jobs) == {"queued"}
        assert set(outcomes(fleet.provider)) == {"401"}
        stop_worker(fleet, 1)
        fleet.start_worker(settings={"LIMNER_API_KEY": "key-2-new"})
        finish(jobs)
        assert [call["key"] for call in attempts(fleet.provider) if call["outcome"] == "200"] == [1] * 20
        eventually(lambda: pause(limner) is None)
