"""The windows and slots of an account, and what is learned about them."""

from dataclasses import replace

import pytest

from limner.ledger import Claim, Closing, Grant, Quota
from tests.integration.limner.ledger import speaking
from tests.integration.limner.ledger.conftest import Bench
from tests.integration.limner.ledger.stories import NO_ANSWER, UNSENT

FOUR = Quota(4, 10.0, 10, 1.0, 100)
WITH_MARGIN = replace(FOUR, margin=1.0)
TOO_OFTEN = {"cause": "rate_limited", "message": "slow down"}
BRIEFLY = Closing("rate_limited", 1.0, 60.0)


def quota(bench: Bench, name: str) -> float | None:
    told = bench.client.hget(bench.ledger.prefix + "quota:main", name)
    return None if told is None else float(told)


def window(bench: Bench) -> dict[str, float]:
    """The time from which each permit counts, in seconds from now."""
    entries = bench.client.zrange(bench.ledger.prefix + "window:create:main", 0, -1, withscores=True)
    return {permit: round(at / 1000 - bench.now, 3) for permit, at in entries}


def slots(bench: Bench) -> int:
    return int(bench.client.zcard(bench.ledger.prefix + "in-flight:main"))


def waiting(bench: Bench, count: int) -> None:
    for number in range(count):
        bench.submit(f"fox {number}")


def creates(bench: Bench, allowed: Quota = FOUR) -> list[Claim]:
    return [step for step in bench.claim(allowed).steps if step.step == "create"]


def send(bench: Bench, step: Claim) -> Grant:
    grant = bench.ledger.jobs.begin(step.job_id, step.lease, f"token {step.job_id}", deadline=900)
    assert isinstance(grant, Grant)
    return grant


def accept(bench: Bench, step: Claim, grant: Grant, took: float) -> None:
    bench.now += took
    assert bench.ledger.jobs.accepted(step.job_id, grant.attempt, f"task {step.job_id}", poll_in=600.0)


def exchange(bench: Bench, step: Claim, took: float = 0.2) -> None:
    accept(bench, step, send(bench, step), took)


def refuse(bench: Bench, step: Claim, grant: Grant, took: float = 0.2) -> None:
    bench.now += took
    assert bench.ledger.jobs.retry(step.job_id, grant.attempt, TOO_OFTEN, delay=600.0, pause=BRIEFLY)


def shrunk(bench: Bench, taken: int = 3) -> None:
    """Lower the limit: the provider accepted only ``taken`` of a full window. The pause has ended."""
    waiting(bench, 60)
    steps = creates(bench)
    for step in steps[:taken]:
        exchange(bench, step)
    bench.now += 1.0
    grants = [send(bench, step) for step in steps[taken:]]
    for step, grant in zip(steps[taken:], grants, strict=True):
        refuse(bench, step, grant, 0.0)
    bench.now += 10.0
    [probe] = creates(bench)
    exchange(bench, probe, 0.0)


# The windows


def test_a_permit_counts_from_the_sending_of_its_request(bench: Bench) -> None:
    waiting(bench, 1)
    [step] = creates(bench)
    bench.now += 3.0
    send(bench, step)
    assert list(window(bench).values()) == [0.0]


def test_the_fastest_request_counts_from_its_sending(bench: Bench) -> None:
    waiting(bench, 1)
    [step] = creates(bench)
    exchange(bench, step, took=0.3)
    assert list(window(bench).values()) == [-0.3]


def test_a_slow_request_counts_later_by_its_delay(bench: Bench) -> None:
    waiting(bench, 2)
    first, second = creates(bench)
    exchange(bench, first, took=0.2)
    exchange(bench, second, took=0.7)
    dawdled = window(bench)[f"{second.job_id}:{second.lease}"]
    # Sent 0.7 s ago, and 0.5 s slower than the quickest one, which is forgotten a little.
    assert dawdled == pytest.approx(-0.7 + 0.495, abs=0.001)


def test_the_correction_for_a_slow_request_is_bounded(bench: Bench) -> None:
    waiting(bench, 2)
    first, second = creates(bench)
    exchange(bench, first, took=0.2)
    exchange(bench, second, took=9.0)
    assert window(bench)[f"{second.job_id}:{second.lease}"] == -8.0


def test_a_request_without_an_answer_counts_until_it_is_in_doubt(bench: Bench) -> None:
    waiting(bench, 1)
    [step] = creates(bench)
    grant = send(bench, step)
    bench.now += 5.0
    assert bench.ledger.jobs.doubt(step.job_id, grant.attempt, NO_ANSWER, grace=5.0)
    assert list(window(bench).values()) == [0.0]


def test_a_request_whose_worker_died_counts_until_its_lease_expires(bench: Bench) -> None:
    waiting(bench, 1)
    [step] = creates(bench)
    grant = send(bench, step)
    bench.now += bench.ledger.leases.send
    assert [step.step for step in bench.claim(FOUR).steps] == ["recover"]
    assert bench.ledger.jobs.doubt(step.job_id, grant.attempt, NO_ANSWER, grace=5.0)
    assert list(window(bench).values()) == [0.0]


def test_an_answer_is_learned_from_although_a_callback_came_first(bench: Bench) -> None:
    waiting(bench, 2)
    first, second = creates(bench)
    exchange(bench, first, took=0.2)
    grant = send(bench, second)
    bench.now += 0.6
    bench.ledger.jobs.called_back(second.job_id, f"token {second.job_id}", f"task {second.job_id}")
    accept(bench, second, grant, took=0.1)
    assert window(bench)[f"{second.job_id}:{second.lease}"] == pytest.approx(-0.7 + 0.495, abs=0.001)


def test_an_answer_is_learned_from_once(bench: Bench) -> None:
    waiting(bench, 1)
    [step] = creates(bench, WITH_MARGIN)
    grant = send(bench, step)
    accept(bench, step, grant, took=0.2)
    margin = quota(bench, "margin")
    accept(bench, step, grant, took=5.0)
    assert (quota(bench, "margin"), quota(bench, "fastest")) == (margin, 200)


def test_an_unsent_request_frees_its_permit(bench: Bench) -> None:
    waiting(bench, 5)
    steps = creates(bench)
    grant = send(bench, steps[0])
    assert creates(bench) == []
    error = {"cause": "not_connected"}
    assert bench.ledger.jobs.retry(steps[0].job_id, grant.attempt, error, delay=60.0, unsent=True)
    assert len(creates(bench)) == 1


def test_a_refused_request_keeps_its_permit(bench: Bench) -> None:
    waiting(bench, 5)
    steps = creates(bench)
    grant = send(bench, steps[0])
    assert bench.ledger.jobs.retry(steps[0].job_id, grant.attempt, {"cause": "server_fault"}, delay=60.0)
    assert creates(bench) == []


def test_a_job_cancelled_before_its_sending_frees_its_permit(bench: Bench) -> None:
    waiting(bench, 5)
    steps = creates(bench)
    bench.ledger.jobs.cancel(steps[0].job_id, UNSENT, UNSENT)
    assert len(creates(bench)) == 1


def test_a_claim_that_is_given_back_frees_its_permit_and_slot(bench: Bench) -> None:
    waiting(bench, 1)
    [step] = creates(bench)
    assert bench.ledger.queue.give_back([step]) == 1
    assert (window(bench), slots(bench)) == ({}, 0)


def test_an_unused_permit_is_free_when_its_lease_expires(bench: Bench) -> None:
    wide = replace(FOUR, creates_span=100.0)
    waiting(bench, 4)
    assert len(creates(bench, wide)) == 4
    bench.now += bench.ledger.leases.step
    assert len(creates(bench, wide)) == 4


# The margin


def test_the_margin_lengthens_the_window(bench: Bench) -> None:
    waiting(bench, 5)
    assert len(creates(bench, WITH_MARGIN)) == 4
    bench.now += 10.999
    assert creates(bench, WITH_MARGIN) == []
    bench.now += 0.001
    assert len(creates(bench, WITH_MARGIN)) == 1


def test_the_margin_shrinks_with_every_answer(bench: Bench) -> None:
    waiting(bench, 2)
    for step in creates(bench, WITH_MARGIN):
        exchange(bench, step)
    assert quota(bench, "margin") == pytest.approx(1000 * 0.98**2)


def test_the_margin_has_a_lower_bound(bench: Bench) -> None:
    narrow = replace(FOUR, margin=0.01)
    waiting(bench, 4)
    for step in creates(bench, narrow):
        exchange(bench, step)
    assert quota(bench, "margin") == 10


def two_after_a_full_window(bench: Bench) -> list[tuple[Claim, Grant]]:
    """Two attempts after a full window whose answers came so late that the provider may count them still."""
    waiting(bench, 60)
    for step in creates(bench, WITH_MARGIN):
        exchange(bench, step, 0.0)
    late = (bench.now + 2.0) * 1000
    answers = bench.ledger.prefix + "window:answer:main"
    bench.client.zadd(answers, dict.fromkeys(bench.client.zrange(answers, 0, -1), late))
    bench.now += 11.0
    return [(step, send(bench, step)) for step in creates(bench, WITH_MARGIN)[:2]]


def test_a_refusal_explained_by_our_own_requests_widens_the_margin(bench: Bench) -> None:
    [one, _] = two_after_a_full_window(bench)
    before = quota(bench, "margin")
    assert before
    refuse(bench, *one)
    assert quota(bench, "margin") == pytest.approx(2 * before)
    assert quota(bench, "limit") is None


def test_simultaneous_refusals_widen_the_margin_once(bench: Bench) -> None:
    [one, other] = two_after_a_full_window(bench)
    refuse(bench, *one)
    widened = quota(bench, "margin")
    refuse(bench, *other)
    assert quota(bench, "margin") == widened


# The limit with another user of the quota


def test_a_refusal_not_explained_by_our_requests_lowers_the_limit(bench: Bench) -> None:
    shrunk(bench)
    assert quota(bench, "limit") == 3
    assert quota(bench, "margin") in (None, 0)


def test_a_refusal_with_few_requests_of_ours_keeps_the_limit(bench: Bench) -> None:
    waiting(bench, 2)
    first, second = creates(bench)
    exchange(bench, first)
    refuse(bench, second, send(bench, second))
    assert quota(bench, "limit") is None


def test_no_more_is_granted_than_the_lowered_limit(bench: Bench) -> None:
    shrunk(bench)
    bench.now += 10.0
    assert len(creates(bench)) == 3


def test_after_a_minute_the_limit_is_raised_by_one_then_by_two(bench: Bench) -> None:
    wide = replace(FOUR, creates=20)
    waiting(bench, 200)
    steps = creates(bench, wide)
    for step in steps[:12]:
        exchange(bench, step, 0.0)
    grants = [send(bench, step) for step in steps[12:]]
    for step, grant in zip(steps[12:], grants, strict=True):
        refuse(bench, step, grant, 0.0)
    limits = []
    for _ in range(5):
        limits.append(quota(bench, "limit"))
        bench.now += 60.0
        bench.claim(wide)
    assert limits == [12, 13, 15, 19, 20]


def test_a_refused_trial_doubles_the_wait_for_the_next_one(bench: Bench) -> None:
    shrunk(bench)
    assert quota(bench, "patience") == 60_000
    bench.now += 60.0
    steps = creates(bench)
    assert len(steps) == 4
    for step in steps[:3]:
        exchange(bench, step, 0.0)
    refuse(bench, steps[3], send(bench, steps[3]))
    assert (quota(bench, "limit"), quota(bench, "patience")) == (3, 120_000)


def test_a_quota_that_was_full_again_for_long_resets_the_patience(bench: Bench) -> None:
    shrunk(bench)
    bench.now += 60.0
    bench.claim(FOUR)
    assert quota(bench, "limit") == 4
    bench.now += 60.0
    shrunk(bench)
    assert (quota(bench, "limit"), quota(bench, "patience")) == (3, 60_000)


# Slots


def test_the_audit_releases_a_slot_that_a_crash_left_behind(bench: Bench) -> None:
    waiting(bench, 1)
    bench.client.zadd(bench.ledger.prefix + "in-flight:main", {"ghost": (bench.now + 60) * 1000})
    one = replace(FOUR, max_in_flight=1)
    assert creates(bench, one) == []
    bench.now += 60.0
    bench.ledger.queue.maintain()
    assert len(creates(bench, one)) == 1


def test_the_audit_keeps_slots_that_jobs_hold(bench: Bench) -> None:
    bench.generating("a fox", poll_in=1000.0)
    bench.now += 60.0
    bench.ledger.queue.maintain()
    assert slots(bench) == 1


def test_polls_refused_together_widen_the_margin_once(bench: Bench) -> None:
    jobs = [bench.generating(f"fox {number}", poll_in=5.0) for number in range(4)]
    bench.now += 5.0
    steps = bench.claim().steps
    assert {step.job_id for step in steps} == set(jobs)
    for step in steps:
        speaking.begin_poll(bench.ledger, step.job_id, step.lease)
        speaking.polled(bench.ledger, step.job_id, step.lease, "too often", poll_in=1.0, too_often=True)
    assert quota(bench, "poll_margin") == 100
    bench.now += 1.0
    [step, *_] = bench.claim().steps
    speaking.begin_poll(bench.ledger, step.job_id, step.lease)
    speaking.polled(bench.ledger, step.job_id, step.lease, "too often", poll_in=1.0, too_often=True)
    assert quota(bench, "poll_margin") == 200


def test_a_poll_that_finds_the_end_shrinks_the_margin_as_well(bench: Bench) -> None:
    job_id = bench.generating(poll_in=0.0)
    bench.claim_one()
    bench.client.hset(bench.ledger.prefix + "quota:main", "poll_margin", 100)
    assert bench.succeed(job_id)
    assert quota(bench, "poll_margin") == 99


def test_a_changed_quota_starts_without_a_lowered_limit(bench: Bench) -> None:
    shrunk(bench)
    assert quota(bench, "limit") == 3
    bench.now += 20.0
    waiting(bench, 20)
    assert len(creates(bench, replace(FOUR, creates=8))) == 8


def test_the_margin_of_polls_shrinks_while_they_are_answered(bench: Bench) -> None:
    with_margin = Quota(20, 10.0, 1, 1.0, 100, margin=0.25)
    job_id = bench.generating(poll_in=0.0)

    def poll() -> None:
        [step] = bench.claim(with_margin).steps
        assert speaking.begin_poll(bench.ledger, job_id, step.lease)
        assert speaking.polled(bench.ledger, job_id, step.lease, "generating", poll_in=0.0)

    for _ in range(150):
        poll()
        bench.now += 1.101
    poll()
    bench.now += 1.029
    assert bench.claim(with_margin).steps == []
    bench.now += 0.002
    poll()


def test_a_poll_refused_for_its_rate_widens_the_margin_of_polls(bench: Bench) -> None:
    job_id = bench.generating(poll_in=2.0)
    bench.now += 2.0
    step = bench.claim_one()
    assert speaking.begin_poll(bench.ledger, job_id, step.lease)
    assert speaking.polled(bench.ledger, job_id, step.lease, "too often", poll_in=2.0, too_often=True)
    assert quota(bench, "poll_margin") == 100
