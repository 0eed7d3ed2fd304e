"""Several accounts that share the common queue."""

from dataclasses import replace
from decimal import Decimal

import pytest

from limner.ledger import Claim, Closing, Grant, Quota
from tests.integration.limner.ledger import speaking
from tests.integration.limner.ledger.conftest import Bench, new
from tests.integration.limner.ledger.stories import NO_ANSWER, record

ONE = Quota(4, 10.0, 2, 1.0, 100, account="one")
TWO = replace(ONE, account="two")
CLOSED = Closing("no_credits", 60.0, 900.0)


def claim(bench: Bench, *quotas: Quota, batch: int = 100) -> list[Claim]:
    return bench.ledger.queue.claim(*(quotas or (ONE, TWO)), batch=batch).steps


def account(bench: Bench, step: Claim) -> str | None:
    return record(bench, step.job_id).account


def send(bench: Bench, step: Claim) -> Grant:
    grant = bench.ledger.jobs.begin(step.job_id, step.lease, f"token {step.lease}", deadline=900)
    assert isinstance(grant, Grant)
    return grant


def waiting(bench: Bench, count: int, **options: object) -> list[str]:
    return [bench.submit(f"fox {number}", **options) for number in range(count)]


def generating_on(bench: Bench, name: str, prompt: str = "a fox") -> str:
    job_id = bench.submit(prompt, account=name)
    [step] = [step for step in claim(bench) if step.job_id == job_id]
    grant = send(bench, step)
    bench.ledger.jobs.accepted(job_id, grant.attempt, f"task of {prompt}", poll_in=2.0)
    return job_id


def in_flight(bench: Bench, name: str) -> int:
    return int(bench.client.zcard(f"{bench.ledger.prefix}in-flight:{name}"))


def test_each_account_has_its_own_window(bench: Bench) -> None:
    waiting(bench, 10)
    steps = claim(bench)
    assert sorted(str(account(bench, step)) for step in steps) == ["one"] * 4 + ["two"] * 4


def test_the_account_with_the_most_capacity_gets_the_job(bench: Bench) -> None:
    waiting(bench, 3)
    claim(bench, ONE)
    waiting(bench, 1)
    [step] = claim(bench)
    assert account(bench, step) == "two"


def test_free_slots_count_as_capacity(bench: Bench) -> None:
    narrow = replace(ONE, max_in_flight=1)
    waiting(bench, 10)
    assert sum(account(bench, step) == "one" for step in claim(bench, narrow, TWO)) == 1
    assert (in_flight(bench, "one"), in_flight(bench, "two")) == (1, 4)


def test_a_grant_names_its_account(bench: Bench) -> None:
    waiting(bench, 1)
    [step] = claim(bench, TWO)
    assert send(bench, step).account == "two"


def test_a_job_that_names_an_account_waits_for_that_account(bench: Bench) -> None:
    claim(bench)
    job_id = bench.submit(account="two")
    assert claim(bench, ONE) == []
    assert [step.job_id for step in claim(bench, TWO)] == [job_id]


@pytest.mark.parametrize("others", [0, 100])
def test_lanes_take_turns_at_an_account_that_lags_behind(bench: Bench, others: int) -> None:
    wide = replace(ONE, creates=1000, max_in_flight=1000)
    claim(bench, wide, TWO)
    bench.ledger.accounts.pause("two")
    crowd = [new(f"crowd {number}", lane="crowd", account="two") for number in range(50)]
    bench.ledger.jobs.submit_many(crowd)
    waiting(bench, others, lane="others")
    for step in claim(bench, wide, TWO, batch=1000):
        send(bench, step)
    alone = bench.submit("alone", lane="alone", account="two")
    bench.ledger.accounts.resume("two")
    assert alone in [step.job_id for step in claim(bench, wide, TWO)]


def test_jobs_that_name_an_account_keep_their_turn_among_the_others(bench: Bench) -> None:
    claim(bench)
    jobs = [
        bench.submit("1"),
        bench.submit("2", account="one"),
        bench.submit("3"),
        bench.submit("4", account="one"),
    ]
    assert [step.job_id for step in claim(bench, ONE)] == jobs


def test_an_unknown_account_is_refused_with_the_known_names(bench: Bench) -> None:
    claim(bench)
    told = bench.ledger.jobs.submit(new(account="three"))
    assert (told.outcome, told.job_id) == ("no_account", "one, two")


def test_every_account_is_accepted_before_a_worker_has_registered(bench: Bench) -> None:
    assert bench.ledger.jobs.submit(new(account="three")).outcome == "created"


def test_one_closed_account_does_not_stop_the_others(bench: Bench) -> None:
    waiting(bench, 12)
    steps = claim(bench)
    step = next(step for step in steps if account(bench, step) == "one")
    bench.ledger.jobs.retry(
        step.job_id, send(bench, step).attempt, {"cause": "no_credits"}, delay=0.0, pause=CLOSED
    )
    bench.now += 10.0
    assert {account(bench, step) for step in claim(bench)} == {"two"}


def test_a_refused_job_goes_to_another_account(bench: Bench) -> None:
    [job_id] = waiting(bench, 1)
    [step] = claim(bench, ONE)
    bench.ledger.accounts.pause("one")
    assert bench.ledger.jobs.begin(job_id, step.lease, "token", deadline=900) == "stale"
    [again] = claim(bench)
    assert (again.job_id, send(bench, again).account) == (job_id, "two")
    assert in_flight(bench, "one") == 0


def test_each_closed_account_has_its_own_probe(bench: Bench) -> None:
    waiting(bench, 20)
    steps = claim(bench)
    for name in ("one", "two"):
        step = next(step for step in steps if account(bench, step) == name)
        error = {"cause": "no_credits"}
        bench.ledger.jobs.retry(step.job_id, send(bench, step).attempt, error, delay=0.0, pause=CLOSED)
    bench.now += 60.0
    assert sorted(str(account(bench, step)) for step in claim(bench)) == ["one", "two"]


def test_a_job_for_a_closed_account_does_not_wake_the_dispatchers(bench: Bench) -> None:
    claim(bench)
    bench.ledger.accounts.pause("two", seconds=60.0)
    bench.submit(account="two")
    assert bench.ledger.queue.claim(ONE, TWO).wait >= 1.0


def test_tasks_are_read_with_the_key_that_made_them(bench: Bench) -> None:
    claim(bench)
    job_id = generating_on(bench, "two")
    bench.now += 2.0
    assert claim(bench, ONE) == []
    assert [(step.job_id, step.step) for step in claim(bench, TWO)] == [(job_id, "poll")]
    [task] = record(bench, job_id).tasks
    assert task.account == "two"


def test_each_account_has_its_own_read_window(bench: Bench) -> None:
    claim(bench)
    for name in ("one", "two"):
        for number in range(3):
            generating_on(bench, name, f"{name} {number}")
    bench.now += 2.0
    polls = [step for step in claim(bench) if step.step == "poll"]
    readers = [record(bench, step.job_id).tasks[0].account for step in polls]
    assert sorted(readers) == ["one", "one", "two", "two"]


def test_tasks_on_two_accounts_are_polled_in_turn_with_the_key_of_each(bench: Bench) -> None:
    [job_id] = waiting(bench, 1)
    [step] = claim(bench, ONE)
    bench.ledger.jobs.doubt(job_id, send(bench, step).attempt, NO_ANSWER, grace=600.0)
    bench.ledger.jobs.resubmit(job_id, attempt=1)
    [step] = claim(bench, TWO)
    bench.ledger.jobs.accepted(job_id, send(bench, step).attempt, "on two", poll_in=0.0)
    bench.ledger.jobs.called_back(job_id, "token 1", "on one")
    [poll] = claim(bench)
    seen = speaking.begin_poll(bench.ledger, job_id, poll.lease)
    assert seen
    assert seen.open_task
    assert seen.open_task.account == "one"
    assert speaking.polled(bench.ledger, job_id, poll.lease, "waiting", poll_in=2.0, task_id="on one")
    bench.now += 2.0
    assert claim(bench, ONE) == []
    [poll] = claim(bench, TWO)
    seen = speaking.begin_poll(bench.ledger, job_id, poll.lease)
    assert seen
    assert seen.open_task
    assert seen.open_task.task_id == "on two"


def test_accounts_share_a_batch(bench: Bench) -> None:
    waiting(bench, 10)
    assert len(claim(bench, batch=3)) == 3


def test_spending_is_reported_by_account(bench: Bench) -> None:
    claim(bench)
    job_id = generating_on(bench, "two")
    speaking.task_succeeded(bench.ledger, job_id, "task of a fox", ["https://a"], Decimal(7), ttl=60)
    today = bench.client.hgetall(f"{bench.ledger.prefix}money:{int(bench.now) // 86_400}")
    assert today == {"spent": "7000000", "spent:account:two": "7000000", "tasks": "1"}


def test_an_account_without_slots_leaves_a_common_job_to_the_other(bench: Bench) -> None:
    full = replace(ONE, max_in_flight=0)
    waiting(bench, 1)
    [step] = claim(bench, full, TWO)
    assert account(bench, step) == "two"


def test_a_pinned_job_without_a_record_delays_no_other_job(bench: Bench) -> None:
    north = replace(bench.quota, account="north", creates=1)
    bench.ledger.queue.claim(north)
    gone, next_one = bench.submit("gone", account="north"), bench.submit("next", account="north")
    bench.client.delete(bench.ledger.jobs.key(gone))
    taken = [step.job_id for _ in range(3) for step in bench.ledger.queue.claim(north).steps]
    assert taken == [next_one]
