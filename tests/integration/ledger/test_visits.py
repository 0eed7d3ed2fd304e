"""Which accounts a claim visits: those that have something to do, at once, and no others."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

import pytest

from limner.errors import Cancelled
from limner.ledger import Claim, Closing, Grant, Ledger, Quota
from limner.ledger.script import Script
from limner.records import JobState
from tests.integration.ledger.conftest import Bench
from tests.integration.ledger.stories import SENT, UNSENT, record

ONE: Final = Quota(4, 10.0, 4, 1.0, 100, account="one")
TWO: Final = replace(ONE, account="two")
IDLE_CLAIMS: Final = 50
"""More claims than it takes until nothing is left to visit."""
OURS: Final = ("evalsha", "info", "config|resetstat", "config", "ping")
"""Commands that the test itself sends."""


def many(count: int, name: str = "account", **limits: Any) -> list[Quota]:
    return [replace(ONE, account=f"{name} {number:03}", **limits) for number in range(count)]


def claim(bench: Bench, *quotas: Quota, batch: int = 100) -> list[Claim]:
    return bench.ledger.queue.claim(*quotas, batch=batch).steps


def another_worker(bench: Bench) -> Ledger:
    """What a second worker speaks to: each tells of its own accounts only when these change."""
    return Ledger(bench.client, clock=lambda: bench.now)


def rest(bench: Bench, *quotas: Quota) -> list[Claim]:
    """What is claimed until the clock may sleep."""
    steps: list[Claim] = []
    for _ in range(IDLE_CLAIMS):
        claimed = bench.ledger.queue.claim(*quotas)
        steps += claimed.steps
        if not claimed.steps and claimed.wait > 0:
            return steps
    raise AssertionError("the clock does not come to rest")


def send(bench: Bench, step: Claim) -> Grant:
    grant = bench.ledger.jobs.begin(step.job_id, step.lease, f"token {step.job_id}", deadline=900)
    assert isinstance(grant, Grant)
    return grant


def accept(bench: Bench, step: Claim, *, look_in: float = 600.0) -> None:
    grant = send(bench, step)
    bench.ledger.jobs.accepted(step.job_id, grant.attempt, f"task of {step.job_id}", look_in=look_in)


def of(steps: Sequence[Claim]) -> list[str]:
    return [step.job_id for step in steps]


def score(bench: Bench, index: str, account: str) -> float | None:
    found: float | None = bench.client.zscore(bench.ledger.prefix + index, account)
    return found


# What a claim costs


def calls(bench: Bench, quotas: Sequence[Quota]) -> int:
    """Redis calls of a claim that grants a job on each of three accounts that they name."""
    rest(bench, *quotas)
    jobs = [bench.submit(f"fox {quota.account}", account=quota.account) for quota in quotas[:3]]
    bench.client.config_resetstat()
    steps = claim(bench, *quotas)
    stats = bench.client.info("commandstats")
    assert sorted(of(steps)) == sorted(jobs)
    return sum(told["calls"] for name, told in stats.items() if name.removeprefix("cmdstat_") not in OURS)


def test_idle_accounts_cost_a_claim_next_to_nothing(bench: Bench) -> None:
    few = calls(bench, many(3))
    bench.client.flushall()
    assert calls(bench, many(200)) <= 1.3 * few


def test_accounts_at_rest_are_not_visited(bench: Bench) -> None:
    quotas = many(200)
    rest(bench, *quotas)
    bench.client.config_resetstat()
    claim(bench, *quotas)
    stats = bench.client.info("commandstats")
    # Each visit reads the account's limits.
    assert stats.get("cmdstat_hmget", {}).get("calls", 0) <= 1


# What is told to the ledger


@contextmanager
def told(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The names of the scripts that are run."""
    names: list[str] = []
    run = bench.ledger.store.run

    def listen(script: Script[Any]) -> Any:
        names.append(script.NAME)
        return run(script)

    with monkeypatch.context() as patch:
        patch.setattr(bench.ledger.store, "run", listen)
        yield names


def test_limits_are_told_once_and_not_with_each_claim(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    with told(bench, monkeypatch) as names:
        for _ in range(5):
            claim(bench, ONE, TWO)
    assert names == ["enlist", *["claim"] * 5]


def test_limits_that_change_are_told_once_more(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    claim(bench, ONE, TWO)
    with told(bench, monkeypatch) as names:
        for _ in range(3):
            claim(bench, ONE, replace(TWO, creates=7))
    assert names == ["enlist", *["claim"] * 3]
    assert bench.client.hget(bench.ledger.prefix + "quota:two", "creates") == "7"


def test_an_emptied_ledger_is_told_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    claim(bench, ONE)
    bench.client.flushall()
    job_id = bench.submit()
    with told(bench, monkeypatch) as names:
        assert of(claim(bench, ONE)) == [job_id]
    assert names == ["claim", "enlist", "claim"]


def test_hundreds_of_accounts_are_told_in_pieces_and_all_are_known(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    with told(bench, monkeypatch) as names:
        claim(bench, *many(250))
    assert names == ["enlist"] * 3 + ["claim"]
    assert bench.client.scard(bench.ledger.prefix + "accounts") == 250


def test_a_speaker_that_has_not_claimed_for_an_hour_is_forgotten_and_makes_itself_known_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim(bench, ONE)
    bench.now += 3601.0
    bench.ledger.queue.tend()
    assert bench.client.zcard(bench.ledger.prefix + "speakers") == 0
    assert bench.client.keys(bench.ledger.prefix + "speaker:*") == []
    job_id = bench.submit(account="one")
    with told(bench, monkeypatch) as names:
        assert of(claim(bench, ONE)) == [job_id]
    assert names == ["claim", "enlist", "claim"]


# Accounts of other workers


def test_accounts_of_other_workers_are_not_served(bench: Bench) -> None:
    other = another_worker(bench)
    other.queue.claim(TWO)
    rest(bench, ONE)
    theirs, ours = bench.submit("theirs", account="two"), bench.submit("ours", account="one")
    assert of(rest(bench, ONE)) == [ours]
    assert of(other.queue.claim(TWO).steps) == [theirs]


@pytest.mark.parametrize("pinned", [True, False], ids=["of its own", "of the common line"])
def test_many_accounts_of_others_do_not_starve_ours(bench: Bench, pinned: bool) -> None:
    theirs = many(130, "theirs")
    # With a job each that nobody takes, they come first in the index, for ever.
    claim(bench, *theirs)
    claim(bench, ONE)
    rest(bench, ONE)
    for quota in theirs:
        bench.submit(f"fox {quota.account}", account=quota.account)
    bench.now += 1.0
    job_id = bench.submit("ours", account="one" if pinned else None)
    assert bench.client.zcount(bench.ledger.prefix + "active", "-inf", bench.now * 1000) >= 130
    assert of(claim(bench, ONE)) == [job_id]


def test_many_looks_of_others_do_not_starve_ours(bench: Bench) -> None:
    theirs = many(130, "theirs")
    claim(bench, *theirs)
    for quota in theirs:
        bench.submit(f"fox {quota.account}", account=quota.account)
    for step in rest(bench, *theirs):
        accept(bench, step, look_in=2.0)
    claim(bench, ONE)
    job_id = bench.submit("ours", account="one")
    [step] = rest(bench, ONE)
    accept(bench, step, look_in=2.5)
    bench.now += 3.0
    # A claim takes a hundred of what is due, whoever can read it; the next one the rest.
    found = [step for _ in range(2) for step in claim(bench, ONE)]
    assert [(step.job_id, step.step) for step in found] == [(job_id, "look")]


def test_a_claim_that_visited_as_many_as_it_may_is_followed_by_another_at_once(bench: Bench) -> None:
    quotas = many(120)
    rest(bench, *quotas)
    jobs = [bench.submit(f"fox {quota.account}", account=quota.account) for quota in quotas]
    found: list[str] = []
    for _ in range(3):
        claimed = bench.ledger.queue.claim(*quotas)
        found += of(claimed.steps)
        assert claimed.wait == 0.0 or len(found) == len(jobs)
    assert sorted(found) == sorted(jobs)


# What makes an account visited again at once, without housekeeping

PINNED: Final = [True, False]
WHERE: Final = ["a job that names it", "a job of the common line"]


def waiting(bench: Bench, *, pinned: bool, quota: Quota = ONE) -> str:
    """A job for which there is nothing yet; the clocks have come to rest over it."""
    job_id = bench.submit("it waits", account=quota.account if pinned else None)
    assert rest(bench, quota) == []
    return job_id


@pytest.mark.parametrize("pinned", PINNED, ids=WHERE)
def test_a_place_that_a_task_leaves_is_taken_at_once(bench: Bench, pinned: bool) -> None:
    full = replace(ONE, max_in_flight=1)
    claim(bench, full)
    first = bench.submit("first", account="one")
    [step] = claim(bench, full)
    accept(bench, step)
    job_id = waiting(bench, pinned=pinned, quota=full)
    bench.now += 20.0
    bench.ledger.jobs.task_succeeded(first, f"task of {first}", ["https://a"], None, ttl=60)
    assert bench.client.llen(bench.ledger.prefix + "bell") == 1
    assert job_id in of(claim(bench, full))


@pytest.mark.parametrize("pinned", PINNED, ids=WHERE)
def test_a_place_that_a_cancelled_job_leaves_is_taken_at_once(bench: Bench, pinned: bool) -> None:
    full = replace(ONE, max_in_flight=1)
    claim(bench, full)
    first = bench.submit("first", account="one")
    [step] = claim(bench, full)
    accept(bench, step)
    job_id = waiting(bench, pinned=pinned, quota=full)
    bench.now += 20.0
    bench.ledger.jobs.cancel(first, UNSENT, SENT)
    assert job_id in of(claim(bench, full))


@pytest.mark.parametrize("pinned", PINNED, ids=WHERE)
def test_a_place_that_an_attempt_in_doubt_leaves_is_taken_at_once(bench: Bench, pinned: bool) -> None:
    full = replace(ONE, max_in_flight=1)
    claim(bench, full)
    bench.submit("first", account="one")
    [step] = claim(bench, full)
    grant = send(bench, step)
    job_id = waiting(bench, pinned=pinned, quota=full)
    bench.now += 20.0
    bench.ledger.jobs.doubt(step.job_id, grant.attempt, {"cause": "timeout"}, grace=600.0)
    assert of(claim(bench, full)) == [job_id]


@pytest.mark.parametrize("pinned", PINNED, ids=WHERE)
def test_a_place_that_a_refused_attempt_leaves_is_taken_at_once(bench: Bench, pinned: bool) -> None:
    full = replace(ONE, max_in_flight=1)
    claim(bench, full)
    bench.submit("first", account="one")
    [step] = claim(bench, full)
    grant = send(bench, step)
    job_id = waiting(bench, pinned=pinned, quota=full)
    bench.now += 20.0
    bench.ledger.jobs.retry(step.job_id, grant.attempt, {"cause": "busy"}, delay=600.0)
    assert of(claim(bench, full)) == [job_id]


@pytest.mark.parametrize("pinned", PINNED, ids=WHERE)
def test_a_permit_that_is_given_back_is_taken_at_once(bench: Bench, pinned: bool) -> None:
    narrow = replace(ONE, creates=1)
    claim(bench, narrow)
    bench.submit("first", account="one")
    [step] = claim(bench, narrow)
    job_id = waiting(bench, pinned=pinned, quota=narrow)
    bench.ledger.jobs.cancel(step.job_id, Cancelled("unsent"), SENT)
    assert bench.client.llen(bench.ledger.prefix + "bell") == 1
    assert job_id in of(claim(bench, narrow))


@pytest.mark.parametrize("pinned", PINNED, ids=WHERE)
def test_a_permit_of_a_request_that_never_left_is_taken_at_once(bench: Bench, pinned: bool) -> None:
    narrow = replace(ONE, creates=1)
    claim(bench, narrow)
    bench.submit("first", account="one")
    [step] = claim(bench, narrow)
    grant = send(bench, step)
    job_id = waiting(bench, pinned=pinned, quota=narrow)
    error = {"cause": "not_connected"}
    bench.ledger.jobs.retry(step.job_id, grant.attempt, error, delay=600.0, unsent=True)
    assert of(claim(bench, narrow)) == [job_id]


@pytest.mark.parametrize("pinned", PINNED, ids=WHERE)
def test_a_permit_that_is_claimed_and_given_back_is_taken_at_once(bench: Bench, pinned: bool) -> None:
    narrow = replace(ONE, creates=1)
    claim(bench, narrow)
    bench.submit("first", account="one" if pinned else None)
    steps = rest(bench, narrow)
    assert bench.ledger.queue.give_back(steps) == 1
    assert of(claim(bench, narrow)) == of(steps)


@pytest.mark.parametrize("pinned", PINNED, ids=WHERE)
def test_a_permit_that_leaves_the_window_is_taken_at_once(bench: Bench, pinned: bool) -> None:
    narrow = replace(ONE, creates=1)
    claim(bench, narrow)
    bench.submit("first", account="one")
    [step] = claim(bench, narrow)
    accept(bench, step)
    job_id = waiting(bench, pinned=pinned, quota=narrow)
    bench.now += bench.ledger.queue.claim(narrow).wait
    assert of(claim(bench, narrow)) == [job_id]


@pytest.mark.parametrize("pinned", PINNED, ids=WHERE)
def test_a_pause_that_is_over_is_noticed_at_once(bench: Bench, pinned: bool) -> None:
    claim(bench, ONE)
    bench.ledger.accounts.pause("one", seconds=60.0)
    job_id = waiting(bench, pinned=pinned)
    bench.now += 59.999
    assert claim(bench, ONE) == []
    bench.now += 0.001
    assert of(claim(bench, ONE)) == [job_id]


@pytest.mark.parametrize("pinned", PINNED, ids=WHERE)
def test_a_pause_that_somebody_ends_is_noticed_at_once(bench: Bench, pinned: bool) -> None:
    claim(bench, ONE)
    bench.ledger.accounts.pause("one")
    job_id = waiting(bench, pinned=pinned)
    bench.now += 20.0
    bench.ledger.accounts.resume("one")
    assert of(claim(bench, ONE)) == [job_id]


@pytest.mark.parametrize("pinned", PINNED, ids=WHERE)
def test_the_probe_goes_when_the_time_of_a_refusal_is_over(bench: Bench, pinned: bool) -> None:
    claim(bench, ONE)
    bench.submit("first", account="one")
    [step] = claim(bench, ONE)
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
def test_more_places_are_used_at_once(bench: Bench, pinned: bool) -> None:
    full = replace(ONE, max_in_flight=1)
    claim(bench, full)
    bench.submit("first", account="one")
    assert len(claim(bench, full)) == 1
    job_id = waiting(bench, pinned=pinned, quota=full)
    assert of(claim(bench, replace(full, max_in_flight=2))) == [job_id]


REFUSED: Final = replace(ONE, key="refused")
GOOD: Final = replace(ONE, key="good")


def key_is_refused(bench: Bench) -> None:
    claim(bench, REFUSED)
    bench.submit("first", account="one")
    [step] = claim(bench, REFUSED)
    why = Closing("unauthorized", 60.0, 900.0, key="refused")
    error = {"cause": "unauthorized"}
    bench.ledger.jobs.retry(step.job_id, send(bench, step).attempt, error, delay=600.0, pause=why)


@pytest.mark.parametrize("pinned", PINNED, ids=WHERE)
def test_a_worker_with_another_key_tries_it_at_once_when_the_pause_is_over(
    bench: Bench, pinned: bool
) -> None:
    other = another_worker(bench)
    other.queue.claim(GOOD)
    key_is_refused(bench)
    job_id = waiting(bench, pinned=pinned, quota=REFUSED)
    bench.now += 60.0
    assert of(other.queue.claim(GOOD).steps) == [job_id]


@pytest.mark.parametrize("pinned", PINNED, ids=WHERE)
def test_a_worker_with_another_key_tries_it_although_one_with_the_refused_key_always_comes_first(
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
        assert first.steps == []
        found += of(second.steps)
        bench.now += min(first.wait, second.wait, 1.0)
    assert found == [job_id]


@pytest.mark.parametrize("pinned", PINNED, ids=WHERE)
def test_a_worker_that_comes_with_another_key_takes_the_account_up_at_once(
    bench: Bench, pinned: bool
) -> None:
    key_is_refused(bench)
    job_id = waiting(bench, pinned=pinned, quota=REFUSED)
    bench.now += 300.0
    assert rest(bench, REFUSED) == []
    assert of(another_worker(bench).queue.claim(GOOD).steps) == [job_id]


def test_refused_keys_of_many_accounts_let_the_clock_sleep(bench: Bench) -> None:
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


def generating(bench: Bench, quota: Quota, *, look_in: float = 600.0) -> str:
    claim(bench, quota)
    job_id = bench.submit(f"fox {quota.account}", account=quota.account)
    [step] = claim(bench, quota)
    accept(bench, step, look_in=look_in)
    assert rest(bench, quota) == []
    return job_id


def test_a_callback_s_hint_is_followed_at_once(bench: Bench) -> None:
    job_id = generating(bench, ONE)
    bench.now += 30.0
    bench.ledger.jobs.called_back(job_id, f"token {job_id}", f"task of {job_id}")
    assert [(step.job_id, step.step) for step in claim(bench, ONE)] == [(job_id, "look")]


def test_a_hint_soon_after_a_look_is_followed_when_its_pause_is_over(bench: Bench) -> None:
    job_id = generating(bench, ONE, look_in=2.0)
    bench.now += 2.0
    [look] = claim(bench, ONE)
    bench.ledger.jobs.looked(job_id, look.lease, "generating", look_in=600.0)
    bench.now += 0.2
    bench.ledger.jobs.called_back(job_id, f"token {job_id}", f"task of {job_id}")
    claimed = bench.ledger.queue.claim(ONE)
    assert claimed.steps == []
    bench.now += claimed.wait
    assert of(claim(bench, ONE)) == [job_id]


def test_looks_that_wait_for_a_permit_are_made_when_there_is_one(bench: Bench) -> None:
    narrow = replace(ONE, looks=1)
    claim(bench, narrow)
    for number in range(3):
        bench.submit(f"fox {number}", account="one")
    for step in claim(bench, narrow):
        accept(bench, step, look_in=2.0)
    bench.now += 2.0
    found: list[str] = []
    for _ in range(3):
        claimed = bench.ledger.queue.claim(narrow)
        found += of(claimed.steps)
        assert len(claimed.steps) == 1
        bench.now += claimed.wait
    assert len(set(found)) == 3


def test_a_look_that_is_given_back_is_claimed_at_once(bench: Bench) -> None:
    generating(bench, ONE, look_in=2.0)
    bench.now += 2.0
    looks = rest(bench, ONE)
    assert bench.ledger.queue.give_back(looks) == 1
    assert of(claim(bench, ONE)) == of(looks)


def test_a_closed_account_is_looked_at_all_the_same(bench: Bench) -> None:
    job_id = generating(bench, ONE, look_in=2.0)
    bench.ledger.accounts.pause("one")
    assert rest(bench, ONE) == []
    bench.now += 2.0
    assert of(claim(bench, ONE)) == [job_id]


def test_a_place_on_one_account_is_found_by_the_common_line_while_another_is_full(bench: Bench) -> None:
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


# What housekeeping mends


def lose(bench: Bench, *indexes: str) -> None:
    for index in indexes:
        assert bench.client.zrem(bench.ledger.prefix + index, "one") == 1


def found_by_housekeeping(bench: Bench, look: Callable[[], list[str]]) -> None:
    assert look() == []
    bench.now += 5.0
    bench.ledger.queue.tend()
    assert len(look()) == 1


def test_a_job_whose_account_is_lost_from_the_index_is_found_by_housekeeping(bench: Bench) -> None:
    claim(bench, ONE)
    bench.ledger.queue.tend()
    rest(bench, ONE)
    bench.submit(account="one")
    lose(bench, "active")
    found_by_housekeeping(bench, lambda: of(claim(bench, ONE)))


def test_a_look_whose_account_is_lost_from_the_index_is_found_by_housekeeping(bench: Bench) -> None:
    none = replace(ONE, looks=1)
    claim(bench, none)
    bench.ledger.queue.tend()
    for number in range(2):
        bench.submit(f"fox {number}", account="one")
    for step in claim(bench, none):
        accept(bench, step, look_in=2.0)
    bench.now += 2.0
    assert len(claim(bench, none)) == 1
    lose(bench, "active")
    bench.now += 2.0
    found_by_housekeeping(bench, lambda: of(claim(bench, none)))


def test_an_account_that_is_lost_from_both_indexes_sends_again_after_housekeeping(bench: Bench) -> None:
    claim(bench, ONE)
    bench.ledger.queue.tend()
    rest(bench, ONE)
    lose(bench, "open")
    bench.submit()
    found_by_housekeeping(bench, lambda: of(claim(bench, ONE)))


def test_a_pause_that_is_lost_from_the_index_ends_after_housekeeping(bench: Bench) -> None:
    claim(bench, ONE)
    bench.ledger.queue.tend()
    bench.ledger.accounts.pause("one", seconds=10.0)
    job_id = waiting(bench, pinned=True)
    lose(bench, "active")
    bench.now += 10.0
    assert claim(bench, ONE) == []
    bench.ledger.queue.tend()
    assert of(claim(bench, ONE)) == [job_id]


def test_housekeeping_comes_to_every_account_in_pieces(bench: Bench) -> None:
    claim(bench, *many(50))
    assert [bench.ledger.queue.tend() for _ in range(4)] == [True, True, False, False]
    bench.now += 5.0
    assert [bench.ledger.queue.tend() for _ in range(4)] == [True, True, False, False]


def test_the_clock_sleeps_while_every_account_is_full(bench: Bench) -> None:
    full = replace(ONE, max_in_flight=1)
    claim(bench, full)
    bench.submit("first")
    [step] = claim(bench, full)
    accept(bench, step)
    bench.submit("it waits")
    rest(bench, full)
    assert bench.ledger.queue.claim(full).wait >= 1.0
    assert bench.state(step.job_id) == JobState.GENERATING
    assert score(bench, "open", "one") == 10**15
