"""Pauses of an account, and the probe that ends them."""

from dataclasses import replace
from decimal import Decimal

import pytest

from limner.errors import RequestRejected
from limner.ledger import Claim, Closing, Grant, Money, Quota
from limner.status import JobState
from tests.integration.limner.ledger.conftest import Bench
from tests.integration.limner.ledger.stories import NO_ANSWER, SENT, UNSENT, record

CLOSED = Closing("no_credits", 60.0, 200.0)
BRIEFLY = Closing("rate_limited", 10.0, 60.0)
KEY = Quota(20, 10.0, 10, 1.0, 100, key="first")
REFUSED_KEY = Closing("unauthorized", 60.0, 900.0, key="first")
NEEDS = Closing("no_credits", 60.0, 200.0, credits=True)
PRICES = Money({"BALANCED": Decimal("3.5")})


def creates(bench: Bench, quota: Quota | None = None) -> list[Claim]:
    return [step for step in bench.claim(quota).steps if step.step == "create"]


def begin(bench: Bench, step: Claim) -> Grant | str:
    return bench.ledger.jobs.begin(step.job_id, step.lease, f"token {step.lease}", deadline=900)


def send(bench: Bench, step: Claim) -> Grant:
    grant = begin(bench, step)
    assert isinstance(grant, Grant)
    return grant


def refuse(bench: Bench, step: Claim, grant: Grant, why: Closing = CLOSED) -> None:
    assert bench.ledger.jobs.retry(step.job_id, grant.attempt, {"cause": why.cause}, delay=0.0, pause=why)


def accept(bench: Bench, step: Claim, grant: Grant) -> None:
    assert bench.ledger.jobs.accepted(step.job_id, grant.attempt, f"task {step.job_id}", poll_in=600.0)


def closed(bench: Bench, why: Closing = CLOSED, waiting: int = 5) -> None:
    """Submit several jobs, and have one refused for that cause."""
    for number in range(waiting):
        bench.submit(f"fox {number}")
    [step, *others] = creates(bench)
    bench.ledger.queue.give_back(others)
    refuse(bench, step, send(bench, step), why)


def probing(bench: Bench, why: Closing = CLOSED) -> tuple[Claim, Grant]:
    """The probe after the end of a pause, on the wire."""
    closed(bench, why)
    bench.now += why.first
    [step] = creates(bench)
    return step, send(bench, step)


def pause(bench: Bench, name: str) -> str | None:
    told: str | None = bench.client.hget(bench.ledger.prefix + "pause:main", name)
    return told


def left(bench: Bench) -> float | None:
    until = pause(bench, "until")
    return None if until is None else int(until) / 1000 - bench.now


# Closed


def test_nothing_is_granted_during_a_pause(bench: Bench) -> None:
    closed(bench)
    bench.now += 59.999
    assert creates(bench) == []


def test_a_begin_during_a_pause_frees_its_permit_and_slot(bench: Bench) -> None:
    first, second = bench.submit("first"), bench.submit("second")
    one, other = creates(bench)
    refuse(bench, one, send(bench, one))
    assert (one.job_id, other.job_id) == (first, second)
    assert begin(bench, other) == "stale"
    assert bench.indexes(second) == ["ready"]
    assert bench.client.zcard(bench.ledger.prefix + "in-flight:main") == 0
    permits = bench.client.zrange(bench.ledger.prefix + "window:create:main", 0, -1)
    assert permits == [f"{first}:{one.lease}"]


def test_the_dispatcher_sleeps_until_the_probe_may_be_sent(bench: Bench) -> None:
    closed(bench)
    bench.claim()
    assert bench.claim().wait == pytest.approx(60.0)


def test_a_pause_follows_the_provider_up_to_the_longest(bench: Bench) -> None:
    closed(bench, replace(CLOSED, at_least=150.0))
    assert left(bench) == 150.0


def test_a_pause_never_exceeds_the_longest(bench: Bench) -> None:
    closed(bench, replace(CLOSED, at_least=1000.0))
    assert left(bench) == 200.0


def test_requests_that_were_on_the_wire_do_not_lengthen_a_pause(bench: Bench) -> None:
    for number in range(3):
        bench.submit(f"fox {number}")
    sent = [(step, send(bench, step)) for step in creates(bench)]
    refuse(bench, *sent[0])
    bench.now += 30.0
    refuse(bench, *sent[1])
    assert left(bench) == 30.0
    bench.now += 40.0
    refuse(bench, *sent[2])
    assert left(bench) == -10.0


def test_a_longer_pause_replaces_a_shorter_one(bench: Bench) -> None:
    for number in range(2):
        bench.submit(f"fox {number}")
    sent = [(step, send(bench, step)) for step in creates(bench)]
    refuse(bench, *sent[0], BRIEFLY)
    refuse(bench, *sent[1], CLOSED)
    assert (pause(bench, "cause"), left(bench)) == ("no_credits", 60.0)


def test_a_refusal_of_a_cancelled_job_closes_the_account(bench: Bench) -> None:
    job_id, grant = bench.sending()
    bench.ledger.jobs.cancel(job_id, UNSENT, SENT)
    assert not bench.ledger.jobs.retry(
        job_id, grant.attempt, {"cause": CLOSED.cause}, delay=0.0, pause=CLOSED
    )
    assert (pause(bench, "cause"), left(bench)) == ("no_credits", 60.0)
    assert record(bench, job_id).state is JobState.CANCELLED
    bench.submit("another")
    assert creates(bench) == []


def test_a_shorter_pause_does_not_shorten_a_longer_one(bench: Bench) -> None:
    for number in range(2):
        bench.submit(f"fox {number}")
    sent = [(step, send(bench, step)) for step in creates(bench)]
    refuse(bench, *sent[0], CLOSED)
    refuse(bench, *sent[1], BRIEFLY)
    assert (pause(bench, "cause"), left(bench)) == ("no_credits", 60.0)


@pytest.mark.parametrize("met_it", [True, False])
@pytest.mark.parametrize("hours", [1, 1000])
def test_a_pause_does_not_count_against_the_deadline(bench: Bench, met_it: bool, hours: int) -> None:
    job_id, grant = bench.sending()
    assert bench.ledger.jobs.retry(job_id, grant.attempt, {"cause": "server_fault"}, delay=100.0)
    bench.now += 100.0
    [step] = creates(bench)
    if met_it:
        refuse(bench, step, send(bench, step))
    bench.ledger.accounts.pause("main")
    bench.claim()
    bench.now += 3600.0 * hours
    bench.ledger.accounts.resume("main")
    [step] = creates(bench)
    assert step.job_id == job_id
    send(bench, step)
    deadline = record(bench, job_id).deadline
    assert deadline
    assert deadline.timestamp() - bench.now == 800.0


def test_a_back_off_counts_against_the_deadline(bench: Bench) -> None:
    job_id, grant = bench.sending()
    assert bench.ledger.jobs.retry(job_id, grant.attempt, {"cause": "server_fault"}, delay=900.0)
    bench.now += 900.0
    [step] = creates(bench)
    assert begin(bench, step) == "late"


# The probe


def test_a_pause_ends_with_one_probe_however_many_dispatchers_claim(bench: Bench) -> None:
    closed(bench)
    bench.now += 60.0
    assert len(creates(bench)) == 1
    assert creates(bench) == []


def test_while_the_probe_is_on_the_wire_nothing_else_is_sent(bench: Bench) -> None:
    probing(bench)
    bench.now += bench.ledger.leases.send - 0.001
    assert creates(bench) == []


def test_the_other_jobs_follow_at_once_when_the_probe_is_accepted(bench: Bench) -> None:
    accept(bench, *probing(bench))
    assert len(creates(bench)) == 4


def test_a_probe_refused_for_the_same_cause_doubles_the_pause(bench: Bench) -> None:
    step, grant = probing(bench)
    lengths = []
    for _ in range(3):
        refuse(bench, step, grant)
        told = left(bench)
        assert told
        lengths.append(told)
        bench.now += told
        [step] = creates(bench)
        grant = send(bench, step)
    assert lengths == [120.0, 200.0, 200.0]


def test_a_probe_refused_for_another_cause_starts_another_pause(bench: Bench) -> None:
    refuse(bench, *probing(bench), BRIEFLY)
    assert (pause(bench, "cause"), left(bench)) == ("rate_limited", 10.0)


def test_a_probe_rejected_for_its_own_request_opens_the_account(bench: Bench) -> None:
    step, grant = probing(bench)
    error = RequestRejected("no such size")
    assert bench.ledger.jobs.fail(step.job_id, error, [JobState.SENDING], attempt=grant.attempt)
    assert len(creates(bench)) == 4


def test_a_probe_with_a_server_fault_opens_the_account(bench: Bench) -> None:
    step, grant = probing(bench)
    assert bench.ledger.jobs.retry(step.job_id, grant.attempt, {"cause": "server_fault"}, delay=600.0)
    assert len(creates(bench)) == 4


def test_an_unsent_probe_is_followed_by_another_one(bench: Bench) -> None:
    step, grant = probing(bench)
    unsent = {"cause": "not_connected"}
    assert bench.ledger.jobs.retry(step.job_id, grant.attempt, unsent, delay=5.0, unsent=True)
    assert creates(bench) == []
    bench.now += 5.0
    assert len(creates(bench)) == 1


def test_a_probe_that_never_began_is_followed_by_another_one(bench: Bench) -> None:
    closed(bench)
    bench.now += 60.0
    creates(bench)
    bench.now += bench.ledger.leases.step
    assert len(creates(bench)) == 1


def test_a_returned_probe_is_followed_by_another_one(bench: Bench) -> None:
    closed(bench)
    bench.now += 60.0
    bench.ledger.queue.give_back(creates(bench))
    assert len(creates(bench)) == 1


def test_a_cancelled_probe_is_followed_by_another_one(bench: Bench) -> None:
    step, _ = probing(bench)
    bench.ledger.jobs.cancel(step.job_id, UNSENT, SENT)
    assert len(creates(bench)) == 1


def test_a_cancelled_granted_probe_is_followed_by_another_one(bench: Bench) -> None:
    closed(bench)
    bench.now += 60.0
    [step] = creates(bench)
    bench.ledger.jobs.cancel(step.job_id, UNSENT, SENT)
    assert len(creates(bench)) == 1


def test_a_probe_that_a_callback_replaces_is_followed_by_another_one(bench: Bench) -> None:
    adopted, grant = bench.sending()
    assert bench.ledger.jobs.retry(adopted, grant.attempt, {"cause": "server_fault"}, delay=0.0)
    other = bench.submit("another")
    steps = {step.job_id: step for step in creates(bench)}
    refuse(bench, steps[other], send(bench, steps[other]))
    assert begin(bench, steps[adopted]) == "stale"
    bench.now += CLOSED.first
    [probe] = creates(bench)
    assert probe.job_id == adopted
    bench.ledger.jobs.called_back(adopted, "token", "a task")
    assert begin(bench, probe) == "stale"
    assert [step.job_id for step in creates(bench)] == [other]


def test_a_probe_in_doubt_is_followed_by_another_one(bench: Bench) -> None:
    step, grant = probing(bench)
    assert bench.ledger.jobs.doubt(step.job_id, grant.attempt, NO_ANSWER, grace=600.0)
    assert creates(bench) == []
    bench.now += 120.0
    assert len(creates(bench)) == 1


def test_a_probe_whose_worker_died_is_followed_by_another_one(bench: Bench) -> None:
    probing(bench)
    bench.now += bench.ledger.leases.send
    assert len(creates(bench)) == 1


def test_a_probe_that_begins_too_late_is_no_longer_the_probe(bench: Bench) -> None:
    closed(bench)
    bench.now += 60.0
    [late] = creates(bench)
    bench.now += bench.ledger.leases.step
    [probe] = creates(bench)
    assert probe != late
    assert begin(bench, late) == "stale"
    assert isinstance(begin(bench, probe), Grant)


def test_a_callback_before_the_probes_answer_does_not_delay_the_other_jobs(bench: Bench) -> None:
    step, grant = probing(bench)
    bench.ledger.jobs.called_back(step.job_id, f"token {step.lease}", f"task {step.job_id}")
    accept(bench, step, grant)
    assert len(creates(bench)) == 4


def test_an_older_accepted_request_is_not_the_probe(bench: Bench) -> None:
    for number in range(3):
        bench.submit(f"fox {number}")
    one, other, third = creates(bench)
    first, second = send(bench, one), send(bench, other)
    bench.ledger.queue.give_back([third])
    refuse(bench, one, first)
    accept(bench, other, second)
    assert creates(bench) == []


def test_a_probe_does_not_end_a_pause_that_began_after_it(bench: Bench) -> None:
    for number in range(6):
        bench.submit(f"fox {number}")
    [one, other, *rest] = creates(bench)
    bench.ledger.queue.give_back(rest)
    first, second = send(bench, one), send(bench, other)
    refuse(bench, one, first, BRIEFLY)
    bench.now += 10.0
    [step] = creates(bench)
    probe = send(bench, step)
    refuse(bench, other, second, CLOSED)
    accept(bench, step, probe)
    assert pause(bench, "cause") == "no_credits"
    assert creates(bench) == []


# By hand


def test_a_pause_by_hand_lasts_until_somebody_resumes(bench: Bench) -> None:
    bench.ledger.accounts.pause("main")
    bench.submit()
    bench.now += 1e7
    assert creates(bench) == []
    assert bench.ledger.accounts.resume("main")
    assert len(creates(bench)) == 1


def test_a_timed_pause_by_hand_ends_without_a_probe(bench: Bench) -> None:
    bench.ledger.accounts.pause("main", seconds=30.0)
    for number in range(3):
        bench.submit(f"fox {number}")
    bench.now += 29.999
    assert creates(bench) == []
    bench.now += 0.001
    assert len(creates(bench)) == 3


def test_no_refusal_changes_a_pause_by_hand(bench: Bench) -> None:
    job_id, grant = bench.sending()
    bench.ledger.accounts.pause("main", seconds=600.0)
    assert bench.ledger.jobs.retry(job_id, grant.attempt, {"cause": "no_credits"}, delay=0.0, pause=CLOSED)
    assert (pause(bench, "cause"), left(bench)) == ("by_hand", 600.0)


def test_a_job_that_is_refused_during_a_pause_without_an_end_can_still_be_read(bench: Bench) -> None:
    job_id, grant = bench.sending()
    assert bench.ledger.jobs.retry(job_id, grant.attempt, {"cause": "server_fault"}, delay=0.0)
    step = bench.claim_one()
    grant = send(bench, step)
    bench.ledger.accounts.pause("main")
    refuse(bench, step, grant)
    bench.now += 1e6
    bench.ledger.accounts.resume("main")
    [step] = creates(bench)
    assert isinstance(begin(bench, step), Grant)


def test_a_pause_by_hand_replaces_another_pause_and_its_probe(bench: Bench) -> None:
    step, grant = probing(bench)
    bench.ledger.accounts.pause("main")
    accept(bench, step, grant)
    assert creates(bench) == []


def test_a_resumed_account_still_needs_a_probe(bench: Bench) -> None:
    closed(bench)
    assert bench.ledger.accounts.resume("main")
    assert len(creates(bench)) == 1
    assert creates(bench) == []


def test_a_probe_after_a_resume_does_not_lengthen_the_pause(bench: Bench) -> None:
    closed(bench)
    assert bench.ledger.accounts.resume("main")
    [step] = creates(bench)
    refuse(bench, step, send(bench, step))
    assert left(bench) == 60.0
    bench.now += 60.0
    [step] = creates(bench)
    refuse(bench, step, send(bench, step))
    assert left(bench) == 120.0


def test_there_is_nothing_to_resume_without_a_pause(bench: Bench) -> None:
    assert not bench.ledger.accounts.resume("main")


# A key that is refused


def test_a_refused_key_is_not_tried_again(bench: Bench) -> None:
    closed(bench, REFUSED_KEY)
    bench.now += 1e6
    assert creates(bench, KEY) == []


def test_another_key_is_tried_with_a_probe(bench: Bench) -> None:
    closed(bench, REFUSED_KEY)
    bench.now += 60.0
    assert len(creates(bench, replace(KEY, key="second"))) == 1


def test_a_person_can_have_a_refused_key_probed_again(bench: Bench) -> None:
    closed(bench, REFUSED_KEY)
    bench.ledger.accounts.resume("main")
    [step] = creates(bench, KEY)
    refuse(bench, step, send(bench, step), REFUSED_KEY)
    bench.now += 1e6
    assert creates(bench, KEY) == []


# Credits


def without_credits(bench: Bench) -> Claim:
    """The balance check after a pause for lack of 3.5 credits."""
    bench.submit()
    step = bench.claim_one()
    grant = bench.ledger.jobs.begin(step.job_id, step.lease, "token", deadline=900, money=PRICES)
    assert isinstance(grant, Grant)
    refuse(bench, step, grant, NEEDS)
    bench.now += 60.0
    [check] = bench.claim().steps
    assert (check.job_id, check.step) == ("main", "credits")
    return check


def test_missing_credits_are_checked_and_not_probed(bench: Bench) -> None:
    without_credits(bench)
    assert bench.claim().steps == []


def test_enough_credits_allow_a_probe(bench: Bench) -> None:
    check = without_credits(bench)
    assert bench.ledger.accounts.balance_read("main", check.lease, Decimal("3.5"), longest=200.0)
    [step] = creates(bench)
    accept(bench, step, send(bench, step))
    assert pause(bench, "cause") is None


def test_too_few_credits_double_the_pause(bench: Bench) -> None:
    check = without_credits(bench)
    assert bench.ledger.accounts.balance_read("main", check.lease, Decimal("3.499999"), longest=200.0)
    assert left(bench) == 120.0
    bench.now += 120.0
    [again] = bench.claim().steps
    assert bench.ledger.accounts.balance_read("main", again.lease, Decimal(0), longest=200.0)
    assert left(bench) == 200.0


def test_only_the_latest_balance_check_counts(bench: Bench) -> None:
    check = without_credits(bench)
    bench.now += bench.ledger.leases.step
    [again] = bench.claim().steps
    assert not bench.ledger.accounts.balance_read("main", check.lease, Decimal(5), longest=200.0)
    assert bench.ledger.accounts.balance_read("main", again.lease, Decimal(5), longest=200.0)


def test_a_job_whose_id_equals_a_balance_check_is_not_confused_with_it(bench: Bench) -> None:
    check = without_credits(bench)
    bench.submit("named so", job_id=str(check.lease))
    bench.ledger.jobs.cancel(str(check.lease), UNSENT, SENT)
    assert bench.ledger.accounts.balance_read("main", check.lease, Decimal(5), longest=200.0)


def test_a_returned_balance_check_is_claimed_again(bench: Bench) -> None:
    check = without_credits(bench)
    assert bench.ledger.queue.give_back([check]) == 1
    assert [step.step for step in bench.claim().steps] == ["credits"]


def test_credits_are_checked_although_no_job_waits(bench: Bench) -> None:
    check = without_credits(bench)
    for job_id in bench.client.zrange(bench.ledger.prefix + "ready", 0, -1):
        bench.ledger.jobs.cancel(job_id, UNSENT, SENT)
        bench.stored(job_id)
    assert bench.ledger.accounts.balance_read("main", check.lease, Decimal(0), longest=200.0)
    assert bench.claim().wait == pytest.approx(120.0)
    bench.now += 120.0
    assert [step.step for step in bench.claim().steps] == ["credits"]


def test_a_dispatcher_sleeps_when_there_are_credits_and_no_job_waits(bench: Bench) -> None:
    check = without_credits(bench)
    for job_id in bench.client.zrange(bench.ledger.prefix + "ready", 0, -1):
        bench.ledger.jobs.cancel(job_id, UNSENT, SENT)
        bench.stored(job_id)
    assert bench.ledger.accounts.balance_read("main", check.lease, Decimal(5), longest=200.0)
    assert bench.claim().wait > 0.0


def test_a_probe_refused_for_another_cause_keeps_the_pause_of_a_capped_key(bench: Bench) -> None:
    step, grant = probing(bench, Closing("key_capped", 60.0, 900.0))
    assert bench.ledger.jobs.retry(step.job_id, grant.attempt, {"cause": "server_fault"}, delay=0.0)
    assert creates(bench) == []
    bench.now += 60.0
    assert len(creates(bench)) == 1


def test_a_probe_refused_for_another_cause_ends_the_pause_for_maintenance(bench: Bench) -> None:
    step, grant = probing(bench, Closing("maintenance", 60.0, 900.0))
    error = RequestRejected("not this one")
    assert bench.ledger.jobs.fail(step.job_id, error, [JobState.SENDING], attempt=grant.attempt)
    assert pause(bench, "cause") is None
