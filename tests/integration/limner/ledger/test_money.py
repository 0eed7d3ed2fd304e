"""Held, spent and doubtful money, and the caps."""

from dataclasses import replace
from decimal import Decimal

import pytest

from limner.errors import GenerationFailed, InDoubt, OverBudget, RequestRejected
from limner.ledger import Claim, Grant, Money, Quota
from limner.ledger.messages import Caps
from limner.models import TextToImage
from limner.status import JobState
from limner.submission import prepare
from tests.integration.limner.ledger import speaking
from tests.integration.limner.ledger.conftest import START, Bench
from tests.integration.limner.ledger.stories import NO_ANSWER, NOT_THERE, REFUSED, SENT, UNSENT, record

PRICES = {"TURBO": Decimal("3.5"), "BALANCED": Decimal(7), "QUALITY": Decimal(10)}
MONEY = Money(PRICES)
QUOTA = Quota(20, 10.0, 10, 1.0, 100)
DAY = 86_400
FAULT = {"cause": "server_fault", "message": "an error"}
FOREIGN = {"cause": "foreign", "message": "another job's"}


def capped(refuse: bool = False, **caps: object) -> Money:
    return Money(PRICES, Caps(refuse=refuse, **caps))  # type: ignore[arg-type]


def amounts(bench: Bench, key: str) -> dict[str, Decimal]:
    """The amounts of a key without zeros. None is negative."""
    fields = bench.client.hgetall(bench.ledger.prefix + "money:" + key)
    assert all(int(amount) >= 0 for amount in fields.values()), fields
    return {what: Decimal(amount) / 1_000_000 for what, amount in fields.items() if int(amount)}


def held(bench: Bench) -> Decimal:
    return amounts(bench, "held").get("held", Decimal(0))


def doubtful(bench: Bench) -> Decimal:
    return amounts(bench, "held").get("doubtful", Decimal(0))


def spent(bench: Bench) -> Decimal:
    return amounts(bench, str(int(bench.now) // DAY)).get("spent", Decimal(0))


def books(bench: Bench) -> tuple[Decimal | int, Decimal | int, Decimal | int]:
    """The amounts that are held, doubtful, and spent today."""
    return held(bench), doubtful(bench), spent(bench)


def submit(bench: Bench, prompt: str = "a fox", images: int = 1, **options: object) -> str:
    speed = options.pop("speed", "BALANCED")
    request = TextToImage(prompt=prompt, num_images=images, rendering_speed=speed)  # type: ignore[arg-type]
    return bench.ledger.jobs.submit(prepare(request, **options)).job_id  # type: ignore[arg-type]


def creates(bench: Bench, money: Money = MONEY, *quotas: Quota) -> list[Claim]:
    claimed = bench.ledger.queue.claim(*(quotas or (QUOTA,)), money=money)
    return [step for step in claimed.steps if step.step == "create"]


def begin(bench: Bench, step: Claim, money: Money = MONEY) -> Grant | str:
    return bench.ledger.jobs.begin(step.job_id, step.lease, f"token {step.lease}", deadline=900, money=money)


def sending(bench: Bench, **options: object) -> tuple[str, Grant]:
    job_id = submit(bench, **options)  # type: ignore[arg-type]
    [step] = [step for step in creates(bench) if step.job_id == job_id]
    grant = begin(bench, step)
    assert isinstance(grant, Grant)
    return job_id, grant


def generating(bench: Bench, **options: object) -> str:
    job_id, grant = sending(bench, **options)
    bench.ledger.jobs.accepted(job_id, grant.attempt, "a task", poll_in=600.0)
    return job_id


def succeed(bench: Bench, job_id: str, cost: str | None, task: str = "a task") -> None:
    speaking.task_succeeded(bench.ledger, job_id, task, ["https://a"], cost and Decimal(cost), ttl=60)  # type: ignore[arg-type]


# Held


@pytest.mark.parametrize("for_good", [True, False])
def test_a_refused_attempt_of_a_cancelled_job_costs_nothing(bench: Bench, for_good: bool) -> None:
    job_id, grant = sending(bench)
    bench.ledger.jobs.cancel(job_id, UNSENT, SENT)
    assert books(bench) == (0, 7, 0)
    if for_good:
        error = RequestRejected("no")
        assert not bench.ledger.jobs.fail(job_id, error, [JobState.SENDING], attempt=grant.attempt)
    else:
        assert not bench.ledger.jobs.retry(job_id, grant.attempt, REFUSED, delay=0.0)
    assert books(bench) == (0, 0, 0)


def test_nothing_is_held_before_a_job_is_sent(bench: Bench) -> None:
    submit(bench)
    creates(bench)
    assert books(bench) == (0, 0, 0)


def test_the_expected_cost_is_held_from_the_beginning_of_an_attempt(bench: Bench) -> None:
    sending(bench, images=3, speed="TURBO")
    assert books(bench) == (Decimal("10.5"), 0, 0)


def test_a_repeated_begin_holds_once(bench: Bench) -> None:
    submit(bench)
    [step] = creates(bench)
    begin(bench, step)
    begin(bench, step)
    assert held(bench) == 7


def test_held_money_is_reported_by_account_and_by_lane(bench: Bench) -> None:
    sending(bench, lane="shop")
    assert amounts(bench, "held") == {"held": 7, "held:account:main": 7, "held:lane:shop": 7}


def test_a_refusal_releases_held_money(bench: Bench) -> None:
    job_id, grant = sending(bench)
    bench.ledger.jobs.retry(job_id, grant.attempt, REFUSED, delay=0.0)
    assert books(bench) == (0, 0, 0)


def test_a_rejection_releases_held_money(bench: Bench) -> None:
    job_id, grant = sending(bench)
    bench.ledger.jobs.fail(job_id, RequestRejected("no"), [JobState.SENDING], attempt=grant.attempt)
    assert books(bench) == (0, 0, 0)


def test_a_rejection_that_may_be_charged_leaves_a_doubt(bench: Bench) -> None:
    job_id, grant = sending(bench)
    error = RequestRejected("a fault", {"charged": "maybe"})
    bench.ledger.jobs.fail(job_id, error, [JobState.SENDING], attempt=grant.attempt, certain=False)
    assert books(bench) == (0, 7, 0)


def test_a_rejection_leaves_an_earlier_attempt_in_doubt(bench: Bench) -> None:
    job_id, grant = sending(bench)
    bench.ledger.jobs.doubt(job_id, grant.attempt, NO_ANSWER, grace=60.0)
    bench.ledger.jobs.resubmit(job_id, attempt=grant.attempt)
    [step] = creates(bench)
    again = begin(bench, step)
    assert isinstance(again, Grant)
    error = RequestRejected("no", {"charged": "maybe"})
    assert bench.ledger.jobs.fail(job_id, error, [JobState.SENDING], attempt=again.attempt)
    assert books(bench) == (0, 7, 0)


def test_a_task_found_after_a_fault_is_held_again(bench: Bench) -> None:
    job_id, grant = sending(bench)
    bench.ledger.jobs.retry(job_id, grant.attempt, FAULT, delay=60.0)
    assert books(bench) == (0, 0, 0)
    bench.ledger.jobs.called_back(job_id, "token 1", "a task")
    assert books(bench) == (7, 0, 0)
    succeed(bench, job_id, "7", task="a task")
    assert books(bench) == (0, 0, 7)


def test_a_refusal_releases_nothing_while_the_attempt_has_a_task(bench: Bench) -> None:
    job_id, grant = sending(bench)
    bench.ledger.jobs.called_back(job_id, "token 1", "a task")
    bench.ledger.jobs.retry(job_id, grant.attempt, FAULT, delay=60.0)
    assert books(bench) == (7, 0, 0)


def test_the_wait_for_money_does_not_count_towards_the_deadline(bench: Bench) -> None:
    money = capped(day=Decimal(7))
    job_id, grant = sending(bench)
    bench.ledger.jobs.retry(job_id, grant.attempt, FAULT, delay=2.0)
    other, taken = sending(bench)
    bench.now += 2.0
    assert creates(bench, money) == []
    bench.now += 3600.0
    bench.ledger.jobs.retry(other, taken.attempt, FAULT, delay=6000.0)
    [step] = creates(bench, money)
    assert step.job_id == job_id
    assert isinstance(begin(bench, step, money), Grant)


def test_held_is_the_sum_over_the_jobs_in_progress(bench: Bench) -> None:
    jobs = [sending(bench, prompt=f"fox {number}", images=number + 1) for number in range(4)]
    assert held(bench) == 7 * (1 + 2 + 3 + 4)
    bench.ledger.jobs.retry(jobs[1][0], 1, REFUSED, delay=60.0)
    bench.ledger.jobs.accepted(jobs[2][0], 1, "a task", poll_in=60.0)
    assert held(bench) == 7 * (1 + 3 + 4)


# Spent


def test_the_providers_figure_replaces_held_money(bench: Bench) -> None:
    succeed(bench, generating(bench, lane="shop"), "6.5")
    assert books(bench) == (0, 0, Decimal("6.5"))
    today = amounts(bench, str(int(START) // DAY))
    by_lane = amounts(bench, f"lanes:{int(START) // DAY}")
    assert (today["spent:account:main"], by_lane) == (Decimal("6.5"), {"shop": Decimal("6.5")})


def test_without_the_providers_figure_the_expected_cost_is_spent(bench: Bench) -> None:
    succeed(bench, generating(bench), None)
    assert books(bench) == (0, 0, 7)


def test_a_failed_task_costs_nothing(bench: Bench) -> None:
    job_id = generating(bench)
    speaking.task_failed(bench.ledger, job_id, "a task", GenerationFailed("no"), ttl=60)
    assert books(bench) == (0, 0, 0)


def test_a_failed_task_may_be_owed(bench: Bench) -> None:
    job_id = generating(bench)
    speaking.task_failed(bench.ledger, job_id, "a task", GenerationFailed("withheld"), ttl=60, owed=True)
    assert books(bench) == (0, 0, 7)


def test_a_failed_task_costs_the_providers_figure(bench: Bench) -> None:
    job_id = generating(bench)
    speaking.task_failed(bench.ledger, job_id, "a task", GenerationFailed("no"), ttl=60, cost=Decimal(2))
    assert books(bench) == (0, 0, 2)


def test_an_end_that_is_reported_twice_is_paid_once(bench: Bench) -> None:
    job_id = generating(bench)
    succeed(bench, job_id, "7")
    succeed(bench, job_id, "7")
    assert books(bench) == (0, 0, 7)


def test_spending_counts_on_the_day_of_the_end(bench: Bench) -> None:
    job_id = generating(bench)
    bench.now += DAY
    succeed(bench, job_id, "7")
    assert amounts(bench, str(int(START) // DAY)) == {}
    assert spent(bench) == 7


def test_a_second_task_is_paid_as_well(bench: Bench) -> None:
    job_id = generating(bench)
    bench.ledger.jobs.accepted(job_id, 1, "another", poll_in=600.0)
    succeed(bench, job_id, "7")
    succeed(bench, job_id, "7", task="another")
    assert books(bench) == (0, 0, 14)


# Doubtful


def test_a_doubt_that_nobody_resolves_stays_doubtful(bench: Bench) -> None:
    job_id, grant = sending(bench, lane="shop")
    bench.ledger.jobs.doubt(job_id, grant.attempt, NO_ANSWER, grace=5.0)
    assert books(bench) == (7, 0, 0)
    bench.ledger.jobs.fail(job_id, InDoubt("unknown"), [JobState.IN_DOUBT])
    assert amounts(bench, "held") == {"doubtful": 7, "doubtful:account:main": 7, "doubtful:lane:shop": 7}


def test_a_late_result_clears_doubtful_money(bench: Bench) -> None:
    job_id, grant = sending(bench)
    bench.ledger.jobs.doubt(job_id, grant.attempt, NO_ANSWER, grace=5.0)
    bench.ledger.jobs.fail(job_id, InDoubt("unknown"), [JobState.IN_DOUBT])
    bench.ledger.jobs.adopt(job_id, "a task")
    succeed(bench, job_id, "6")
    assert books(bench) == (0, 0, 6)


def test_a_late_failure_clears_doubtful_money(bench: Bench) -> None:
    job_id, grant = sending(bench)
    bench.ledger.jobs.doubt(job_id, grant.attempt, NO_ANSWER, grace=5.0)
    bench.ledger.jobs.fail(job_id, InDoubt("unknown"), [JobState.IN_DOUBT])
    bench.ledger.jobs.adopt(job_id, "a task")
    speaking.task_failed(bench.ledger, job_id, "a task", GenerationFailed("no"), ttl=60)
    assert books(bench) == (0, 0, 0)


def test_a_job_that_is_cancelled_while_sending_is_doubtful(bench: Bench) -> None:
    job_id, _ = sending(bench)
    bench.ledger.jobs.cancel(job_id, UNSENT, SENT)
    assert books(bench) == (0, 7, 0)


def test_a_refusal_after_a_cancellation_releases_everything(bench: Bench) -> None:
    job_id, grant = sending(bench)
    bench.ledger.jobs.cancel(job_id, UNSENT, SENT)
    bench.ledger.jobs.retry(job_id, grant.attempt, REFUSED, delay=0.0)
    bench.ledger.jobs.retry(job_id, grant.attempt, REFUSED, delay=0.0)
    assert books(bench) == (0, 0, 0)


def test_a_result_after_a_cancellation_is_spent(bench: Bench) -> None:
    job_id, grant = sending(bench)
    bench.ledger.jobs.cancel(job_id, UNSENT, SENT)
    bench.ledger.jobs.accepted(job_id, grant.attempt, "a task", poll_in=2.0)
    succeed(bench, job_id, "7")
    assert books(bench) == (0, 0, 7)


def test_the_money_of_a_cancelled_job_is_held_until_its_task_ends(bench: Bench) -> None:
    job_id = generating(bench)
    bench.ledger.jobs.cancel(job_id, UNSENT, SENT)
    assert books(bench) == (7, 0, 0)
    speaking.task_lost(bench.ledger, job_id, "a task", NOT_THERE, grace=5.0, ttl=60)
    assert books(bench) == (0, 7, 0)


def test_a_resubmission_leaves_the_first_attempt_doubtful(bench: Bench) -> None:
    job_id, grant = sending(bench)
    bench.ledger.jobs.doubt(job_id, grant.attempt, NO_ANSWER, grace=60.0)
    bench.ledger.jobs.resubmit(job_id, attempt=grant.attempt)
    [step] = creates(bench)
    assert isinstance(begin(bench, step), Grant)
    assert books(bench) == (7, 7, 0)


def test_both_results_of_a_resubmitted_job_are_spent(bench: Bench) -> None:
    job_id, grant = sending(bench)
    bench.ledger.jobs.doubt(job_id, grant.attempt, NO_ANSWER, grace=60.0)
    bench.ledger.jobs.resubmit(job_id, attempt=grant.attempt)
    [step] = creates(bench)
    second = begin(bench, step)
    assert isinstance(second, Grant)
    bench.ledger.jobs.accepted(job_id, second.attempt, "second", poll_in=2.0)
    bench.ledger.jobs.called_back(job_id, "token 1", "first")
    succeed(bench, job_id, "7", task="second")
    succeed(bench, job_id, "7", task="first")
    assert books(bench) == (0, 0, 14)


def test_a_task_of_another_job_leaves_the_money_of_the_attempt(bench: Bench) -> None:
    job_id, grant = sending(bench)
    bench.ledger.jobs.doubt(job_id, grant.attempt, NO_ANSWER, grace=5.0)
    bench.ledger.jobs.called_back(job_id, "token 1", "another's")
    speaking.task_lost(bench.ledger, job_id, "another's", FOREIGN, grace=5.0, ttl=60)
    assert books(bench) == (7, 0, 0)
    bench.ledger.jobs.fail(job_id, InDoubt("unknown"), [JobState.IN_DOUBT])
    assert books(bench) == (0, 7, 0)


# Caps


def test_a_job_over_the_days_cap_waits(bench: Bench) -> None:
    money = capped(day=Decimal(10))
    submit(bench, "first")
    second = submit(bench, "second")
    [one, _] = creates(bench, money)
    assert isinstance(begin(bench, one, money), Grant)
    creates(bench, money)
    bench.now += 20.0
    assert creates(bench, money) == []
    assert bench.state(second) == "queued"
    assert "over_budget" in bench.events(second)


def test_a_grant_over_the_days_cap_is_taken_back_at_the_begin(bench: Bench) -> None:
    money = capped(day=Decimal(10))
    submit(bench, "first")
    second = submit(bench, "second")
    one, other = creates(bench, money)
    begin(bench, one, money)
    assert begin(bench, other, money) == "stale"
    assert bench.indexes(second) == ["over-budget:day"]
    assert bench.client.zcard(bench.ledger.prefix + "in-flight:main") == 1
    assert bench.client.zcard(bench.ledger.prefix + "window:create:main") == 1


def test_a_job_over_budget_is_sent_when_money_is_released(bench: Bench) -> None:
    money = capped(day=Decimal(10))
    first, second = submit(bench, "first"), submit(bench, "second")
    one, other = creates(bench, money)
    begin(bench, one, money)
    begin(bench, other, money)
    bench.ledger.jobs.retry(first, 1, REFUSED, delay=6000.0)
    bench.now += 300.0
    [step] = creates(bench, money)
    assert step.job_id == second
    assert isinstance(begin(bench, step, money), Grant)


def test_a_new_day_has_a_new_cap(bench: Bench) -> None:
    money = capped(day=Decimal(10))
    bench.now = (START // DAY + 1) * DAY - 60.0
    succeed(bench, generating(bench), "7")
    submit(bench, "second")
    assert creates(bench, money) == []
    bench.now += 60.0
    assert len(creates(bench, money)) == 1


def test_a_job_over_a_refusing_cap_fails_with_the_reason(bench: Bench) -> None:
    money = capped(refuse=True, day=Decimal(5))
    job_id = submit(bench)
    assert creates(bench, money) == []
    failure = record(bench, job_id).failure
    assert isinstance(failure, OverBudget)
    assert failure.charged == "no"


def test_a_granted_job_over_a_refusing_cap_fails_at_the_begin(bench: Bench) -> None:
    money = capped(refuse=True, day=Decimal(10))
    submit(bench, "first")
    second = submit(bench, "second")
    one, other = creates(bench, money)
    begin(bench, one, money)
    assert begin(bench, other, money) == "stale"
    assert bench.state(second) == "failed"
    assert bench.client.zcard(bench.ledger.prefix + "in-flight:main") == 1
    assert bench.client.zcard(bench.ledger.prefix + "window:create:main") == 1
    assert held(bench) == 7


def test_a_cap_is_used_to_its_last_credit(bench: Bench) -> None:
    money = capped(day=Decimal(7))
    submit(bench)
    [step] = creates(bench, money)
    assert isinstance(begin(bench, step, money), Grant)


@pytest.mark.parametrize("caps", [Caps(lane=Decimal(10)), Caps(lanes={"shop": Decimal(10)})])
def test_a_lane_over_its_cap_does_not_stop_the_others(bench: Bench, caps: Caps) -> None:
    money = Money(PRICES, caps)
    sending(bench, lane="shop")
    shop, blog = submit(bench, lane="shop"), submit(bench, lane="blog")
    assert [step.job_id for step in creates(bench, money)] == [blog]
    assert bench.indexes(shop) == ["over-budget:lane:shop"]


def test_a_lane_uses_its_own_cap(bench: Bench) -> None:
    money = capped(lane=Decimal(1), lanes={"shop": Decimal(10)})
    submit(bench, lane="shop")
    submit(bench, lane="blog")
    assert len(creates(bench, money)) == 1


def test_a_job_without_a_lane_has_no_lane_cap(bench: Bench) -> None:
    submit(bench)
    assert len(creates(bench, capped(lane=Decimal(1)))) == 1


def test_dispatchers_sleep_while_all_jobs_are_over_budget(bench: Bench) -> None:
    money = capped(day=Decimal(7))
    sending(bench)
    for number in range(50):
        submit(bench, f"fox {number}")
    assert creates(bench, money) == []
    # Jobs over budget are tried again later, or when the first job ends.
    assert bench.ledger.queue.claim(QUOTA, money=money).wait > 1.0


def poor(bench: Bench, count: int) -> None:
    jobs = [TextToImage(prompt=f"poor {number}") for number in range(count)]
    bench.ledger.jobs.submit_many([prepare(job, lane="poor") for job in jobs])


def test_a_lane_over_its_cap_delays_no_other_lane(bench: Bench) -> None:
    money = capped(lanes={"poor": Decimal(7)})
    sending(bench, lane="poor")
    poor(bench, 3000)
    # The current turn is past all of these, so that a new lane comes after them.
    bench.client.hset(bench.ledger.prefix + "turns:now", "5", 3001)
    rich = submit(bench, "rich", lane="rich")
    two = replace(QUOTA, creates=2)
    claimed = bench.ledger.queue.claim(two, money=money)
    while not claimed.steps:
        assert claimed.wait == 0.0
        claimed = bench.ledger.queue.claim(two, money=money)
    assert [step.job_id for step in claimed.steps] == [rich]


def test_a_lane_over_its_cap_does_not_delay_later_jobs(bench: Bench) -> None:
    money = capped(lanes={"poor": Decimal(7)})
    sending(bench, lane="poor")
    poor(bench, 1000)
    while bench.client.zcard(bench.ledger.prefix + "ready"):
        assert creates(bench, money) == []
    bench.now += 60.0
    rich = submit(bench, "rich", lane="rich")
    assert [step.job_id for step in creates(bench, money)] == [rich]
    assert bench.client.zcard(bench.ledger.prefix + "over-budget:lane:poor") == 1000


def test_only_jobs_with_money_return_to_the_ready_queue(bench: Bench) -> None:
    job_id, grant = sending(bench, lane="poor")
    poor(bench, 10)
    assert creates(bench, capped(lanes={"poor": Decimal(7)})) == []
    bench.now += 60.0
    assert len(creates(bench, capped(lanes={"poor": Decimal(28)}))) == 3
    bench.ledger.jobs.retry(job_id, grant.attempt, REFUSED, delay=6000.0)
    bench.now += 60.0
    assert len(creates(bench, Money(PRICES))) == 10


def test_a_job_over_budget_is_cancelled_and_expires_like_others(bench: Bench) -> None:
    money = capped(day=Decimal(7))
    sending(bench)
    cancelled, late = submit(bench, "cancelled"), submit(bench, "late", expires_in=5.0)
    assert creates(bench, money) == []
    bench.ledger.jobs.cancel(cancelled, UNSENT, SENT)
    bench.now += 5.0
    creates(bench, money)
    assert (bench.state(cancelled), bench.state(late)) == ("cancelled", "expired")
    assert bench.client.keys(bench.ledger.prefix + "over-budget:*") == []


def test_a_job_dearer_than_a_lowered_cap_does_not_wait(bench: Bench) -> None:
    sending(bench)
    job_id = submit(bench, "another")
    assert creates(bench, capped(day=Decimal(10))) == []
    bench.now += 60.0
    assert creates(bench, capped(day=Decimal(5))) == []
    assert bench.state(job_id) == "failed"
    assert bench.client.keys(bench.ledger.prefix + "over-budget*") == []


def test_a_job_dearer_than_its_whole_cap_does_not_wait(bench: Bench) -> None:
    money = capped(lanes={"shop": Decimal(20)})
    job_id = submit(bench, lane="shop", images=3)
    assert creates(bench, money) == []
    failure = record(bench, job_id).failure
    assert isinstance(failure, OverBudget)
    assert "more than" in str(failure)
    assert "over_budget" in bench.events(job_id)
