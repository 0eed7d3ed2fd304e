"""Visits of claims: accounts that have something to do are visited at once, and no others."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import pytest

from limner.errors import Cancelled
from limner.ledger import Closing, Quota
from limner.status import JobState
from tests.integration.limner.ledger import speaking
from tests.integration.limner.ledger.conftest import Bench
from tests.integration.limner.ledger.errands import (
    ONE,
    TWO,
    accept,
    another_worker,
    claim,
    first_step,
    many,
    of,
    rest,
    send,
    waiting,
)
from tests.integration.limner.ledger.stories import SENT, UNSENT, record

OURS: Final = ("evalsha", "info", "config|resetstat", "config", "ping")
"""Commands that the test itself sends."""

# The cost of a claim


def calls(bench: Bench, quotas: Sequence[Quota]) -> int:
    """The Redis calls of a claim that grants one job on each of three accounts."""
    rest(bench, *quotas)
    jobs = [bench.submit(f"fox {quota.account}", account=quota.account) for quota in quotas[:3]]
    bench.client.config_resetstat()
    steps = claim(bench, *quotas)
    stats = bench.client.info("commandstats")
    assert sorted(of(steps)) == sorted(jobs)
    return sum(told["calls"] for name, told in stats.items() if name.removeprefix("cmdstat_") not in OURS)


def test_idle_accounts_cost_a_claim_almost_nothing(bench: Bench) -> None:
    few = calls(bench, many(3))
    bench.client.flushall()
    # Another worker, which does not miss what is gone.
    bench.__post_init__()
    assert calls(bench, many(200)) <= 1.3 * few


def test_idle_accounts_are_not_visited(bench: Bench) -> None:
    quotas = many(200)
    rest(bench, *quotas)
    bench.client.config_resetstat()
    claim(bench, *quotas)
    stats = bench.client.info("commandstats")
    # Each visit reads the account's limits.
    assert stats.get("cmdstat_hmget", {}).get("calls", 0) <= 1


# Events after which an account is visited at once, without housekeeping

PINNED: Final = [True, False]
WHERE: Final = ["a job that names it", "a job of the common queue"]


@pytest.mark.parametrize("pinned", PINNED, ids=WHERE)
def test_a_slot_that_a_task_frees_is_taken_at_once(bench: Bench, pinned: bool) -> None:
    full = replace(ONE, max_in_flight=1)
    step = first_step(bench, full)
    accept(bench, step)
    job_id = waiting(bench, pinned=pinned, quota=full)
    bench.now += 20.0
    speaking.task_succeeded(bench.ledger, step.job_id, f"task of {step.job_id}", ["https://a"], None, ttl=60)
    assert bench.client.llen(bench.ledger.prefix + "wakeup") == 1
    assert job_id in of(claim(bench, full))


@pytest.mark.parametrize("pinned", PINNED, ids=WHERE)
def test_a_slot_that_a_cancelled_job_frees_is_taken_at_once(bench: Bench, pinned: bool) -> None:
    full = replace(ONE, max_in_flight=1)
    step = first_step(bench, full)
    accept(bench, step)
    job_id = waiting(bench, pinned=pinned, quota=full)
    bench.now += 20.0
    bench.ledger.jobs.cancel(step.job_id, UNSENT, SENT)
    assert job_id in of(claim(bench, full))


@pytest.mark.parametrize("pinned", PINNED, ids=WHERE)
def test_a_slot_that_an_attempt_in_doubt_frees_is_taken_at_once(bench: Bench, pinned: bool) -> None:
    full = replace(ONE, max_in_flight=1)
    step = first_step(bench, full)
    grant = send(bench, step)
    job_id = waiting(bench, pinned=pinned, quota=full)
    bench.now += 20.0
    bench.ledger.jobs.doubt(step.job_id, grant.attempt, {"cause": "timeout"}, grace=600.0)
    assert of(claim(bench, full)) == [job_id]


@pytest.mark.parametrize("pinned", PINNED, ids=WHERE)
def test_a_slot_that_a_refused_attempt_frees_is_taken_at_once(bench: Bench, pinned: bool) -> None:
    full = replace(ONE, max_in_flight=1)
    step = first_step(bench, full)
    grant = send(bench, step)
    job_id = waiting(bench, pinned=pinned, quota=full)
    bench.now += 20.0
    bench.ledger.jobs.retry(step.job_id, grant.attempt, {"cause": "busy"}, delay=600.0)
    assert of(claim(bench, full)) == [job_id]


@pytest.mark.parametrize("pinned", PINNED, ids=WHERE)
def test_a_permit_that_is_given_back_is_taken_at_once(bench: Bench, pinned: bool) -> None:
    narrow = replace(ONE, creates=1)
    step = first_step(bench, narrow)
    job_id = waiting(bench, pinned=pinned, quota=narrow)
    bench.ledger.jobs.cancel(step.job_id, Cancelled("unsent"), SENT)
    assert bench.client.llen(bench.ledger.prefix + "wakeup") == 1
    assert job_id in of(claim(bench, narrow))


@pytest.mark.parametrize("pinned", PINNED, ids=WHERE)
def test_a_permit_of_an_unsent_request_is_taken_at_once(bench: Bench, pinned: bool) -> None:
    narrow = replace(ONE, creates=1)
    step = first_step(bench, narrow)
    grant = send(bench, step)
    job_id = waiting(bench, pinned=pinned, quota=narrow)
    error = {"cause": "not_connected"}
    bench.ledger.jobs.retry(step.job_id, grant.attempt, error, delay=600.0, unsent=True)
    assert of(claim(bench, narrow)) == [job_id]


@pytest.mark.parametrize("pinned", PINNED, ids=WHERE)
def test_a_permit_of_a_claim_that_is_given_back_is_taken_at_once(bench: Bench, pinned: bool) -> None:
    narrow = replace(ONE, creates=1)
    claim(bench, narrow)
    bench.submit("first", account="one" if pinned else None)
    steps = rest(bench, narrow)
    assert bench.ledger.queue.give_back(steps) == 1
    assert of(claim(bench, narrow)) == of(steps)


@pytest.mark.parametrize("pinned", PINNED, ids=WHERE)
def test_a_permit_that_leaves_the_window_is_taken_at_once(bench: Bench, pinned: bool) -> None:
    narrow = replace(ONE, creates=1)
    step = first_step(bench, narrow)
    accept(bench, step)
    job_id = waiting(bench, pinned=pinned, quota=narrow)
    bench.now += bench.ledger.queue.claim(narrow).wait
    assert of(claim(bench, narrow)) == [job_id]


@pytest.mark.parametrize("pinned", PINNED, ids=WHERE)
def test_the_end_of_a_pause_is_noticed_at_once(bench: Bench, pinned: bool) -> None:
    claim(bench, ONE)
    bench.ledger.accounts.pause("one", seconds=60.0)
    job_id = waiting(bench, pinned=pinned)
    bench.now += 59.999
    assert claim(bench, ONE) == []
    bench.now += 0.001
    assert of(claim(bench, ONE)) == [job_id]


def test_a_pause_ends_in_time_although_no_job_waits(bench: Bench) -> None:
    rest(bench, ONE)
    bench.ledger.accounts.pause("one", seconds=60.0)
    bench.now += 60.0
    claim(bench, ONE)
    assert not bench.client.exists(bench.ledger.prefix + "pause:one")


@pytest.mark.parametrize("pinned", PINNED, ids=WHERE)
def test_a_resumed_account_is_noticed_at_once(bench: Bench, pinned: bool) -> None:
    claim(bench, ONE)
    bench.ledger.accounts.pause("one")
    job_id = waiting(bench, pinned=pinned)
    bench.now += 20.0
    bench.ledger.accounts.resume("one")
    assert of(claim(bench, ONE)) == [job_id]


@pytest.mark.parametrize("pinned", PINNED, ids=WHERE)
def test_the_probe_is_sent_when_the_pause_of_a_refusal_ends(bench: Bench, pinned: bool) -> None:
    step = first_step(bench, ONE)
    why = Closing("maintenance", 60.0, 900.0)
    grant = send(bench, step)
    bench.ledger.jobs.retry(step.job_id, grant.attempt, {"cause": "maintenance"}, delay=600.0, pause=why)
    job_id = waiting(bench, pinned=pinned)
    bench.now += 60.0
    assert of(claim(bench, ONE)) == [job_id]


@pytest.mark.parametrize("pinned", PINNED, ids=WHERE)
def test_a_raised_quota_is_used_at_once(bench: Bench, pinned: bool) -> None:
    narrow = replace(ONE, creates=1)
    claim(bench, narrow)
    bench.submit("first", account="one")
    assert len(claim(bench, narrow)) == 1
    job_id = waiting(bench, pinned=pinned, quota=narrow)
    assert of(claim(bench, replace(narrow, creates=2))) == [job_id]


@pytest.mark.parametrize("pinned", PINNED, ids=WHERE)
def test_a_higher_limit_is_tried_when_it_is_due(bench: Bench, pinned: bool) -> None:
    claim(bench, ONE)
    learned = {"limit": 1, "raise_at": round(bench.now * 1000) + 5000, "patience": 60_000, "stride": 1}
    bench.client.hset(bench.ledger.prefix + "quota:one", mapping=learned)
    bench.submit("first", account="one")
    assert len(claim(bench, ONE)) == 1
    job_id = waiting(bench, pinned=pinned)
    assert bench.ledger.queue.claim(ONE).wait <= 5.001
    bench.now += 5.0
    assert of(claim(bench, ONE)) == [job_id]


@pytest.mark.parametrize("pinned", PINNED, ids=WHERE)
def test_additional_slots_are_used_at_once(bench: Bench, pinned: bool) -> None:
    full = replace(ONE, max_in_flight=1)
    claim(bench, full)
    bench.submit("first", account="one")
    assert len(claim(bench, full)) == 1
    job_id = waiting(bench, pinned=pinned, quota=full)
    assert of(claim(bench, replace(full, max_in_flight=2))) == [job_id]


REFUSED: Final = replace(ONE, key="refused")
GOOD: Final = replace(ONE, key="good")


def key_is_refused(bench: Bench) -> None:
    step = first_step(bench, REFUSED)
    why = Closing("unauthorized", 60.0, 900.0, key="refused")
    error = {"cause": "unauthorized"}
    bench.ledger.jobs.retry(step.job_id, send(bench, step).attempt, error, delay=600.0, pause=why)


@pytest.mark.parametrize("pinned", PINNED, ids=WHERE)
def test_another_key_is_probed_at_once_when_the_pause_ends(bench: Bench, pinned: bool) -> None:
    other = another_worker(bench)
    other.queue.claim(GOOD)
    key_is_refused(bench)
    job_id = waiting(bench, pinned=pinned, quota=REFUSED)
    bench.now += 60.0
    assert of(other.queue.claim(GOOD).steps) == [job_id]


@pytest.mark.parametrize("pinned", PINNED, ids=WHERE)
def test_another_key_is_probed_although_a_worker_with_the_refused_key_claims_first(
    bench: Bench, pinned: bool
) -> None:
    other = another_worker(bench)
    other.queue.claim(GOOD)
    key_is_refused(bench)
    job_id = waiting(bench, pinned=pinned, quota=REFUSED)
    bench.now += 60.0
    found: list[str] = []
    for _ in range(20):
        # Both wake up when there may be something to do.
        first = bench.ledger.queue.claim(REFUSED)
        second = other.queue.claim(GOOD)
        assert [step.step for step in first.steps] in ([], ["credits"])
        found += of(second.steps)
        bench.now += min(first.wait, second.wait, 1.0)
    assert found == [job_id]


@pytest.mark.parametrize("pinned", PINNED, ids=WHERE)
def test_a_new_worker_with_another_key_takes_over_the_account_at_once(bench: Bench, pinned: bool) -> None:
    key_is_refused(bench)
    job_id = waiting(bench, pinned=pinned, quota=REFUSED)
    bench.now += 300.0
    assert [step.step for step in rest(bench, REFUSED)] == ["credits"]
    assert of(another_worker(bench).queue.claim(GOOD).steps) == [job_id]


def test_refused_keys_of_many_accounts_let_the_dispatcher_sleep(bench: Bench) -> None:
    quotas = [replace(quota, key=quota.account) for quota in many(60)]
    rest(bench, *quotas)
    for quota in quotas:
        bench.submit("first", account=quota.account)
    for step in rest(bench, *quotas):
        account = str(record(bench, step.job_id).account)
        why = Closing("unauthorized", 60.0, 900.0, key=account)
        grant = send(bench, step)
        bench.ledger.jobs.retry(step.job_id, grant.attempt, {"cause": "unauthorized"}, delay=0.0, pause=why)
    assert rest(bench, *quotas) == []


def generating(bench: Bench, quota: Quota, *, poll_in: float = 600.0) -> str:
    claim(bench, quota)
    job_id = bench.submit(f"fox {quota.account}", account=quota.account)
    [step] = claim(bench, quota)
    accept(bench, step, poll_in=poll_in)
    assert rest(bench, quota) == []
    return job_id


def test_a_callback_signal_is_followed_at_once(bench: Bench) -> None:
    job_id = generating(bench, ONE)
    bench.now += 30.0
    bench.ledger.jobs.called_back(job_id, f"token {job_id}", f"task of {job_id}")
    assert [(step.job_id, step.step) for step in claim(bench, ONE)] == [(job_id, "poll")]


def test_a_signal_soon_after_a_poll_is_followed_after_the_signal_pause(bench: Bench) -> None:
    job_id = generating(bench, ONE, poll_in=2.0)
    bench.now += 2.0
    [poll] = claim(bench, ONE)
    speaking.polled(bench.ledger, job_id, poll.lease, "generating", poll_in=600.0)
    bench.now += 0.2
    bench.ledger.jobs.called_back(job_id, f"token {job_id}", f"task of {job_id}")
    claimed = bench.ledger.queue.claim(ONE)
    assert claimed.steps == []
    bench.now += claimed.wait
    assert of(claim(bench, ONE)) == [job_id]


def test_waiting_polls_are_made_when_a_permit_is_free(bench: Bench) -> None:
    narrow = replace(ONE, polls=1)
    claim(bench, narrow)
    for number in range(3):
        bench.submit(f"fox {number}", account="one")
    for step in claim(bench, narrow):
        accept(bench, step, poll_in=2.0)
    bench.now += 2.0
    found: list[str] = []
    for _ in range(3):
        claimed = bench.ledger.queue.claim(narrow)
        found += of(claimed.steps)
        assert len(claimed.steps) == 1
        bench.now += claimed.wait
    assert len(set(found)) == 3


def test_a_poll_that_is_given_back_is_claimed_at_once(bench: Bench) -> None:
    generating(bench, ONE, poll_in=2.0)
    bench.now += 2.0
    polls = rest(bench, ONE)
    assert bench.ledger.queue.give_back(polls) == 1
    assert of(claim(bench, ONE)) == of(polls)


def test_a_closed_account_is_still_polled(bench: Bench) -> None:
    job_id = generating(bench, ONE, poll_in=2.0)
    bench.ledger.accounts.pause("one")
    assert rest(bench, ONE) == []
    bench.now += 2.0
    assert of(claim(bench, ONE)) == [job_id]


def test_the_common_queue_finds_a_slot_on_one_account_while_another_is_full(bench: Bench) -> None:
    one, two = replace(ONE, max_in_flight=1), replace(TWO, max_in_flight=1)
    claim(bench, one, two)
    for number in range(2):
        bench.submit(f"fox {number}")
    steps = rest(bench, one, two)
    for step in steps:
        accept(bench, step)
    job_id = bench.submit("it waits")
    assert rest(bench, one, two) == []
    bench.now += 20.0
    freed = steps[1].job_id
    account = record(bench, freed).account
    bench.ledger.jobs.cancel(freed, UNSENT, SENT)
    assert job_id in of(claim(bench, one, two))
    assert record(bench, job_id).account == account


def test_the_dispatcher_sleeps_while_every_account_is_full(bench: Bench) -> None:
    full = replace(ONE, max_in_flight=1)
    claim(bench, full)
    bench.submit("first")
    [step] = claim(bench, full)
    accept(bench, step)
    bench.submit("it waits")
    rest(bench, full)
    assert bench.ledger.queue.claim(full).wait >= 1.0
    assert bench.state(step.job_id) == JobState.GENERATING
    assert bench.client.zscore(bench.ledger.prefix + "open", "one") == 10**15


def test_accounts_whose_pause_is_over_do_not_hide_the_others(bench: Bench) -> None:
    quotas = many(60)
    claim(bench, *quotas)
    for quota in quotas[:55]:
        bench.ledger.accounts.pause(quota.account, seconds=30.0)
        # A pause by the provider ends with an accepted probe, and there is no job to probe with.
        bench.client.hset(f"{bench.ledger.prefix}pause:{quota.account}", "cause", "maintenance")
        bench.client.hset(f"{bench.ledger.prefix}pause:{quota.account}", "length", "30000")
    bench.now += 31.0
    assert rest(bench, *quotas) == []
    job_id = bench.submit("a fox", account=quotas[59].account)
    assert of(rest(bench, *quotas)) == [job_id]


def test_accounts_with_refused_keys_do_not_hide_the_others_from_the_common_queue(bench: Bench) -> None:
    quotas = many(70, key="refused")
    claim(bench, *quotas)
    for quota in quotas[:52]:
        bench.ledger.accounts.pause(quota.account, seconds=30.0)
        name = f"{bench.ledger.prefix}pause:{quota.account}"
        bench.client.hset(name, mapping={"cause": "unauthorized", "key": "refused", "length": "30000"})
    bench.now += 31.0
    for number in range(40):
        bench.submit(f"fox {number}")
    assert len([step for step in rest(bench, *quotas) if step.step == "create"]) == 40


def test_lost_limits_are_registered_again_with_the_next_claim(bench: Bench) -> None:
    claim(bench, ONE)
    job_id = bench.submit("a fox", account="one")
    bench.client.delete(bench.ledger.prefix + "quota:one")
    claim(bench, ONE)
    bench.ledger.queue.maintain()
    assert of(rest(bench, ONE)) == [job_id]


def test_a_clock_that_is_set_back_delays_nothing(bench: Bench) -> None:
    one = replace(ONE, creates=1)
    bench.submit("a fox")
    [step] = claim(bench, one)
    accept(bench, step)
    bench.submit("a hen")
    assert rest(bench, one) == []
    bench.now -= 600.0
    assert rest(bench, one) == []
    bench.now += 11.0
    assert len(rest(bench, one)) == 1
