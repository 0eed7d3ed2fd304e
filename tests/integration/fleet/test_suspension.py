"""A worker that stands still between its leave and its request: the quota, the lease, and the bill."""

import signal
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

import psutil
import pytest
import redis

from limner import Job, Limner
from sandbox.local.fleet import FleetProcess, LocalFleet
from tests.conftest import eventually
from tests.integration.fleet.conftest import ROOMY, quick_provider
from tests.integration.fleet.suspension import AT, MACHINE, PASS, STEP, Point

WAIT: Final = 60.0
CREATES: Final = 5
SECONDS: Final = 1.0
SEEN: Final = 0.8 * SECONDS
"""The window that the tests look at. The fleet learns how small a margin does, and a busy machine may delay a
request on its way by more than that; one that goes out beside the quota arrives among the others."""
JOBS: Final = 30
NARROW: Final = {
    **ROOMY,
    "LIMNER_RATE_REQUESTS": str(CREATES),
    "LIMNER_RATE_SECONDS": str(SECONDS),
    "LIMNER_RATE_MARGIN_SECONDS": "0.5",
    # Longer than a worker is suspended: here it is too late for the quota, and in time for its exchange.
    "LIMNER_REQUEST_TIMEOUT_SECONDS": "30",
    "LIMNER_TROUBLE_JOBS": "1",
}


@pytest.fixture(scope="module")
def fleet() -> Iterator[LocalFleet]:
    # Replaces the conftest's fleet; the fixture `limner` connects to it.
    provider = quick_provider(creates=CREATES, window_seconds=SECONDS)
    with LocalFleet(settings=NARROW, provider=provider) as running:
        yield running


def start_suspended(fleet: LocalFleet, at: Point, **variables: str) -> FleetProcess:
    """A worker that is going to stop itself at this point."""
    return fleet.start_worker(
        settings={AT: at, **variables}, arguments=["-I", "tests.integration.fleet.suspension"]
    )


def stopped(worker: FleetProcess) -> Callable[[], bool]:
    """A condition: the worker has stopped itself."""
    return lambda: psutil.Process(worker.pid).status() == psutil.STATUS_STOPPED


def proceed(worker: FleetProcess) -> None:
    """Continue a stopped worker."""
    worker.child.signal(signal.SIGCONT)


def drain(worker: FleetProcess) -> None:
    """Stop a worker once it has finished everything that it was at."""
    worker.child.signal(signal.SIGTERM)
    assert worker.child.wait(WAIT) == 0


def arrivals(fleet: LocalFleet, endpoint: str) -> list[float]:
    """The times at which requests arrived, in seconds."""
    assert fleet.provider
    return sorted(call["at_ms"] / 1000 for call in fleet.provider.calls() if call["endpoint"] == endpoint)


def most_within(times: list[float], seconds: float) -> int:
    """The most of these times that lie in any such window."""
    return max(sum(start <= time < start + seconds for time in times) for start in times)


def bought(fleet: LocalFleet) -> Counter[str]:
    """The number of tasks by prompt."""
    assert fleet.provider
    return Counter(task["input"]["prompt"] for task in fleet.provider.ledger())


def ends(job: Job) -> list[str]:
    """The ends of a job in its log."""
    return [entry.event for entry in job.log() if entry.event in {"succeeded", "failed", "cancelled"}]


def refusals(jobs: list[Job]) -> set[str]:
    """The causes for which attempts of these jobs were sent again."""
    log = [entry for job in jobs for entry in job.log()]
    return {entry.detail["error"]["cause"] for entry in log if entry.event == "refused"}


def suspend_one_of_two(
    fleet: LocalFleet, limner: Limner, at: Point, endpoint: str, allowed: int, **variables: str
) -> list[Job]:
    """Stop a worker until the other one has used the quota twice over; returns the jobs, which have ended."""
    other = fleet.workers[0].child
    # So that it does not take all jobs before the first one reaches the point.
    other.signal(signal.SIGSTOP)
    worker = start_suspended(fleet, at, **variables)
    jobs = limner.submit_many(f"{at} {number}" for number in range(JOBS))
    try:
        eventually(stopped(worker), within=WAIT)
    finally:
        other.signal(signal.SIGCONT)
    before = len(arrivals(fleet, endpoint))
    eventually(lambda: len(arrivals(fleet, endpoint)) >= before + 2 * allowed, within=WAIT)
    proceed(worker)
    for job in jobs:
        assert job.result(WAIT).urls
    drain(worker)
    return jobs


# The window


@pytest.mark.parametrize(
    ("at", "kept_back", "variables"),
    [
        (Point.BEFORE_BEGIN, set(), {}),
        (Point.AFTER_BEGIN, {"not_sent"}, {}),
        (Point.CONNECTING, {"not_sent"}, {}),
        (Point.BEFORE_LEAVE, {"not_sent"}, {}),
        (Point.AFTER_WRITE, set(), {}),
        (Point.AFTER_ANSWER, set(), {}),
        (Point.AFTER_BEGIN, {"not_sent"}, {MACHINE: "1"}),
        (Point.CONNECTING, {"not_sent"}, {MACHINE: "1"}),
    ],
)
def test_a_suspension_does_not_exceed_the_quota(
    fleet: LocalFleet, limner: Limner, at: Point, kept_back: set[str], variables: dict[str, str]
) -> None:
    jobs = suspend_one_of_two(fleet, limner, at, "createTask", CREATES, **variables)
    assert most_within(arrivals(fleet, "createTask"), SEEN) <= CREATES
    assert set(bought(fleet).values()) == {1}
    assert [ends(job) for job in jobs] == [["succeeded"]] * JOBS
    # Whatever was kept back is no trouble on the way, of which a single one would close the account here.
    assert kept_back <= refusals(jobs) <= {"not_sent"}


def test_between_the_leave_and_the_write_only_what_has_its_leave_is_too_many(
    fleet: LocalFleet, limner: Limner
) -> None:
    jobs = suspend_one_of_two(fleet, limner, Point.AFTER_LEAVE, "createTask", CREATES)
    # The request that the worker was stopped at; no other thread of it is at this point.
    assert most_within(arrivals(fleet, "createTask"), SEEN) <= CREATES + 1
    assert set(bought(fleet).values()) == {1}
    assert [ends(job) for job in jobs] == [["succeeded"]] * JOBS


def test_a_step_of_the_wall_clock_keeps_nothing_back(fleet: LocalFleet, limner: Limner) -> None:
    worker = start_suspended(fleet, Point.AFTER_BEGIN, **{STEP: "3600"})
    fleet.kill_worker(0)
    jobs = limner.submit_many(f"an hour later {number}" for number in range(2 * CREATES))
    for job in jobs:
        assert job.result(WAIT).urls
    assert refusals(jobs) == set()
    fleet.start_worker()
    drain(worker)


def test_a_suspension_does_not_exceed_the_reads() -> None:
    settings = {**ROOMY, "LIMNER_READS_PER_SECOND": str(CREATES)}
    with (
        LocalFleet(settings=settings, provider=quick_provider()) as fleet,
        Limner(fleet.redis_url) as limner,
    ):
        suspend_one_of_two(fleet, limner, Point.AFTER_BEGIN_POLLS, "recordInfo", CREATES, **{PASS: "2"})
        # A busy machine may delay a read by more than the margin of a tenth of a second.
        assert most_within(arrivals(fleet, "recordInfo"), 0.9) <= CREATES


# The lease

BOUGHT: Final = {
    # The tasks when the lease is over, and after the worker has continued: with `hold`, and with `resubmit`.
    Point.BEFORE_BEGIN: ((1, 1), (1, 1)),
    Point.AFTER_BEGIN: ((0, 0), (1, 1)),
    Point.BEFORE_LEAVE: ((0, 0), (1, 1)),
    # What remains: the request arrives after the doubt, and after the one repetition that the policy allows.
    Point.AFTER_LEAVE: ((0, 1), (1, 2)),
    Point.AFTER_WRITE: ((1, 1), (2, 2)),
    Point.AFTER_ANSWER: ((1, 1), (2, 2)),
}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("policy", ["hold", "resubmit"])
def test_no_request_goes_out_after_its_lease(policy: str) -> None:
    with (
        LocalFleet(
            workers=0, settings={**ROOMY, "LIMNER_IN_DOUBT": policy}, provider=quick_provider()
        ) as fleet,
        Limner(fleet.redis_url) as limner,
        redis.Redis.from_url(fleet.redis_url) as client,
    ):
        workers: list[FleetProcess] = []
        for point in BOUGHT:
            workers.append(start_suspended(fleet, point))
            # All are started before the first lease begins.
            workers[-1].child.signal(signal.SIGSTOP)
        jobs: dict[Point, Job] = {}
        for point, worker in zip(BOUGHT, workers, strict=True):
            # A stopped worker that still waits for a message would get the next one.
            eventually(lambda: not waiting_for_messages(client))
            jobs[point] = limner.submit(str(point))
            proceed(worker)
            eventually(stopped(worker), within=WAIT)
        fleet.start_worker()
        eventually(lambda: all(is_settled(job) for job in jobs.values()), within=WAIT)
        over = bought(fleet)
        for worker in workers:
            proceed(worker)
            drain(worker)
        found = {point: (over[point], bought(fleet)[point]) for point in BOUGHT}
        assert found == {point: counts[policy == "resubmit"] for point, counts in BOUGHT.items()}
        held = [job for job in jobs.values() if job.status().held]
        for job in held:
            job.resubmit()
        for point, job in jobs.items():
            assert job.result(WAIT).urls
            assert ends(job) == ["succeeded"]
            assert bought(fleet)[point] == found[point][1] + (job in held)
        assert bool(held) == (policy == "hold")


def waiting_for_messages(client: "redis.Redis") -> int:
    """The number of workers that a message would be given to."""
    return sum(each["cmd"] == "brpop" and "b" in each["flags"] for each in client.client_list())


def is_settled(job: Job) -> bool:
    """True if the job has succeeded, or is left to a person."""
    status = job.status()
    return status.held or status.state == "succeeded"
