"""Limits that the provider does not document: of tasks at work, and far below the quota of the settings."""

from limner.ledger import Claim, Closing, Grant, Quota
from tests.integration.limner.ledger.conftest import Bench

TWENTY = Quota(20, 10.0, 10, 1.0, 100)
RATE = Closing("rate_limited", 5.0, 300.0)
RUNNING = Closing("too_many_running", 5.0, 300.0)


def creates(bench: Bench, quota: Quota = TWENTY) -> list[Claim]:
    return [step for step in bench.claim(quota).steps if step.step == "create"]


def send(bench: Bench, step: Claim) -> Grant:
    grant = bench.ledger.jobs.begin(step.job_id, step.lease, f"token {step.job_id}", deadline=900)
    assert isinstance(grant, Grant)
    return grant


def accept(bench: Bench, step: Claim) -> None:
    bench.ledger.jobs.accepted(step.job_id, send(bench, step).attempt, f"of {step.job_id}", poll_in=1e5)


def refuse(bench: Bench, step: Claim, why: Closing) -> None:
    grant = send(bench, step)
    bench.ledger.jobs.retry(step.job_id, grant.attempt, {"cause": why.cause}, delay=0.0, pause=why)


def burst(bench: Bench, accepted: int, why: Closing) -> None:
    """Twenty requests at once, of which the provider takes the first so many."""
    for number in range(60):
        bench.submit(f"fox {number}")
    steps = creates(bench)
    grants = [(step, send(bench, step)) for step in steps]
    for step, grant in grants[:accepted]:
        bench.ledger.jobs.accepted(step.job_id, grant.attempt, f"of {step.job_id}", poll_in=1e5)
    for step, grant in grants[accepted:]:
        bench.ledger.jobs.retry(step.job_id, grant.attempt, {"cause": why.cause}, delay=0.0, pause=why)


def quota(bench: Bench, name: str) -> int | None:
    found = bench.client.hget(bench.ledger.prefix + "quota:main", name)
    return None if found is None else int(float(found))


def test_too_many_tasks_at_work_lower_the_limit_of_tasks_in_flight(bench: Bench) -> None:
    burst(bench, 12, RUNNING)
    assert (quota(bench, "flight"), quota(bench, "limit")) == (12, None)
    bench.now += 15.0
    assert creates(bench) == []
    [status] = bench.ledger.accounts.statuses()
    assert (status.in_flight_limit, status.max_in_flight) == (12, 100)


def test_a_lowered_limit_of_tasks_is_raised_by_one_then_by_two(bench: Bench) -> None:
    burst(bench, 12, RUNNING)
    limits = []
    for _ in range(4):
        limits.append(quota(bench, "flight"))
        bench.now += 60.0
        bench.claim(TWENTY)
    assert limits == [12, 13, 15, 19]


def test_a_refused_trial_doubles_the_wait_for_the_next_one(bench: Bench) -> None:
    burst(bench, 12, RUNNING)
    bench.now += 60.0
    [step] = creates(bench)
    refuse(bench, step, RUNNING)
    assert (quota(bench, "flight"), quota(bench, "flight_patience")) == (12, 120_000)


def test_a_dispatcher_wakes_up_for_the_trial(bench: Bench) -> None:
    burst(bench, 12, RUNNING)
    bench.now += 15.0
    creates(bench)
    assert 0.0 < bench.claim(TWENTY).wait <= 60.0


def test_other_settings_forget_what_was_learned(bench: Bench) -> None:
    burst(bench, 12, RUNNING)
    bench.claim(Quota(20, 10.0, 10, 1.0, 50))
    assert quota(bench, "flight") is None


def test_a_limit_far_below_the_settings_is_learned_when_a_probe_meets_it(bench: Bench) -> None:
    burst(bench, 5, RATE)
    assert quota(bench, "limit") == 10
    bench.now += 5.0
    [probe] = creates(bench)
    refuse(bench, probe, RATE)
    assert (quota(bench, "limit"), quota(bench, "flight")) == (5, None)


def test_a_probe_that_meets_a_429_while_old_tasks_run_teaches_the_tasks_at_work(bench: Bench) -> None:
    burst(bench, 12, RATE)
    bench.now += 60.0
    [probe] = creates(bench)
    refuse(bench, probe, RATE)
    assert quota(bench, "flight") == 12


def test_a_single_stray_429_teaches_nothing(bench: Bench) -> None:
    bench.submit("one")
    bench.submit("two")
    one, two = creates(bench)
    accept(bench, one)
    refuse(bench, two, RATE)
    assert (quota(bench, "limit"), quota(bench, "flight")) == (None, None)
