"""Reading the ledger: accounts, ready queues, forecasts and money."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from limner.accounts import AccountStatus
from limner.errors import GenerationFailed, InDoubt
from limner.job import Job
from limner.ledger import Closing, Grant, Money, Quota
from limner.ledger.messages import Caps
from limner.loops import EventLoops
from limner.pauses import EndsBy
from limner.status import JobState, JobStatus
from limner.subscription import Subscription
from tests.integration.limner.ledger import speaking
from tests.integration.limner.ledger.conftest import START, Bench

NORTH = Quota(2, 10.0, 10, 1.0, 5, margin=0.25, account="north", key="k1")
SOUTH = replace(NORTH, creates=1, account="south", key="k2")
PRICES = Money({"TURBO": Decimal("3.5"), "BALANCED": Decimal(7)})
SEVEN, NONE = Decimal(7), Decimal(0)
REFUSED = {"cause": "rate_limited", "code": 429, "message": "Too many"}


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(START + seconds, UTC)


def account(bench: Bench, name: str = "main") -> AccountStatus:
    [found] = [status for status in bench.ledger.accounts.statuses() if status.account == name]
    return found


def status(bench: Bench, job_id: str) -> JobStatus:
    loops = EventLoops(lambda: pytest.fail("not asynchronous"))
    waits = Subscription(bench.ledger, lambda: pytest.fail("no wait"))
    return Job(job_id, bench.ledger, loops, waits).status()


def send(bench: Bench, *quotas: Quota, money: Money = PRICES) -> tuple[str, Grant]:
    """Begin the first job that may be sent; returns its id and grant."""
    step = next(
        step for step in bench.ledger.queue.claim(*quotas or (bench.quota,)).steps if step.step == "create"
    )
    grant = bench.ledger.jobs.begin(step.job_id, step.lease, f"token-{step.lease}", deadline=900, money=money)
    assert isinstance(grant, Grant)
    return step.job_id, grant


def refuse(bench: Bench, closing: Closing, **error: object) -> str:
    """Have the provider refuse a job for a cause that closes the account."""
    bench.submit()
    job_id, grant = send(bench)
    told = {"cause": closing.cause, "message": "No", **error}
    assert bench.ledger.jobs.retry(job_id, grant.attempt, told, delay=0, pause=closing)
    return job_id


# Accounts


def test_there_is_no_account_before_a_worker_has_started(bench: Bench) -> None:
    assert bench.ledger.accounts.statuses() == []
    assert bench.ledger.accounts.names() == []


def test_a_status_shows_the_quota_and_its_use(bench: Bench) -> None:
    for number in range(4):
        bench.submit(f"fox {number}")
    bench.submit()
    bench.ledger.queue.claim(NORTH)
    assert account(bench, "north") == AccountStatus(
        account="north",
        requests=2,
        seconds=10.0,
        reads_per_second=10.0,
        max_in_flight=5,
        in_flight_limit=5,
        limit=2,
        more_at=None,
        margin=0.25,
        used=2,
        next_permit_at=at(10.251),
        in_flight=2,
        waiting=3,
        waiting_own=0,
        polls_waiting=0,
        pause=None,
        claimed_at=at(0),
        deserted=False,
    )


def test_an_account_without_claims_is_reported_as_deserted(bench: Bench) -> None:
    bench.ledger.queue.claim(NORTH, SOUTH)
    bench.now += 26
    bench.ledger.queue.claim(SOUTH)
    bench.now += 5
    told = {each.account: (each.claimed_at, each.deserted) for each in bench.ledger.accounts.statuses()}
    assert told == {"north": (at(0), True), "south": (at(26), False)}
    bench.ledger.queue.claim(NORTH)
    assert not account(bench, "north").deserted


def test_the_next_permit_is_free_when_the_status_says_so(bench: Bench) -> None:
    for number in range(3):
        bench.submit(f"fox {number}")
    bench.ledger.queue.claim(replace(NORTH, creates=1))
    free_at = account(bench, "north").next_permit_at.timestamp()
    bench.now = free_at - 0.002
    assert bench.ledger.queue.claim(replace(NORTH, creates=1)).steps == []
    assert account(bench, "north").used == 1
    bench.now = free_at
    assert account(bench, "north").used == 0
    assert account(bench, "north").next_permit_at == at(10.251)
    assert len(bench.ledger.queue.claim(replace(NORTH, creates=1)).steps) == 1


def test_waiting_jobs_are_counted_by_ready_queue(bench: Bench) -> None:
    bench.ledger.queue.claim(NORTH, SOUTH)
    for pinned in (None, None, "north", "south", "south", "south"):
        bench.submit(account=pinned)
    waiting = {each.account: (each.waiting, each.waiting_own) for each in bench.ledger.accounts.statuses()}
    assert waiting == {"north": (2, 1), "south": (2, 3)}


def test_waiting_polls_are_counted(bench: Bench) -> None:
    bench.generating(poll_in=1.0)
    bench.now += 1.0
    bench.claim(replace(bench.quota, polls=0))
    assert account(bench).polls_waiting == 1


def test_the_status_shows_what_was_learned_of_a_quota(bench: Bench) -> None:
    for number in range(20):
        bench.submit(f"fox {number}")
    grants = []
    for step in bench.claim().steps:
        grant = bench.ledger.jobs.begin(step.job_id, step.lease, "t", deadline=900)
        assert isinstance(grant, Grant)
        grants.append((step.job_id, grant.attempt))
    bench.now += 0.2
    for job_id, attempt in grants[:12]:
        bench.ledger.jobs.accepted(job_id, attempt, f"task of {job_id}", poll_in=60)
    for job_id, attempt in grants[12:]:
        bench.ledger.jobs.retry(job_id, attempt, REFUSED, delay=60)
    learned = account(bench)
    assert learned.requests == 20
    assert 12 <= learned.limit < 20
    assert learned.more_at == at(60.2)


def test_a_pause_by_hand_lasts_until_somebody_ends_it(bench: Bench) -> None:
    bench.claim()
    bench.ledger.accounts.pause("main", reason="Invoices first")
    pause = account(bench).pause
    assert pause
    assert (pause.cause, pause.since, pause.until) == ("by_hand", at(0), None)
    assert (pause.ends_by, pause.message, pause.probe) == (EndsBy.PERSON, "Invoices first", None)
    assert bench.ledger.accounts.resume("main")
    assert account(bench).pause is None


def test_a_timed_pause_by_hand_ends_by_time(bench: Bench) -> None:
    bench.claim()
    bench.ledger.accounts.pause("main", seconds=60)
    pause = account(bench).pause
    assert pause
    assert (pause.ends_by, pause.until, pause.message) == (EndsBy.TIME, at(60), "")


def test_a_pause_by_the_provider_ends_by_a_probe_that_is_named(bench: Bench) -> None:
    refuse(bench, Closing("unavailable", 60.0, 900.0), message="In maintenance")
    pause = account(bench).pause
    assert pause
    assert (pause.cause, pause.ends_by, pause.until) == ("unavailable", EndsBy.PROBE, at(60))
    assert (pause.message, pause.probe) == ("In maintenance", None)
    bench.now += 60
    [step] = bench.claim().steps
    probing = account(bench).pause
    assert probing
    assert probing.probe == step.job_id


def test_a_pause_for_want_of_credits_ends_by_the_balance(bench: Bench) -> None:
    refuse(bench, Closing("no_credits", 60.0, 900.0, credits=True))
    pause = account(bench).pause
    assert pause
    assert (pause.ends_by, pause.until) == (EndsBy.CREDITS, at(60))
    bench.now += 60
    [step] = bench.claim().steps
    asking = account(bench).pause
    assert asking
    assert (step.step, asking.probe) == ("credits", None)
    assert bench.ledger.accounts.balance_read("main", step.lease, Decimal(100), longest=900)
    enough = account(bench).pause
    assert enough
    assert enough.ends_by is EndsBy.PROBE


def test_a_pause_for_a_refused_key_ends_by_another_key_or_a_person(bench: Bench) -> None:
    bench.quota = replace(bench.quota, key="k1")
    refuse(bench, Closing("unauthorized", 60.0, 900.0, key="k1"))
    pause = account(bench).pause
    assert pause
    assert (pause.ends_by, pause.until) == (EndsBy.KEY, at(60))
    bench.ledger.accounts.resume("main")
    resumed = account(bench).pause
    assert resumed
    assert (resumed.ends_by, resumed.until) == (EndsBy.PROBE, at(0))


# Ready queues


def test_a_position_in_the_common_queue_is_exact(bench: Bench) -> None:
    low, first, second, high = (bench.submit(priority=priority) for priority in (1, 5, 5, 9))
    bench.client.sadd(bench.ledger.prefix + "accounts", "north")
    bench.submit(account="north", priority=9)
    places = [bench.position(job_id)[0] for job_id in (high, first, second, low)]
    assert places == [1, 2, 3, 4]


def test_positions_follow_the_turns_of_the_lanes(bench: Bench) -> None:
    busy = [bench.submit(lane="busy") for _ in range(3)]
    other = bench.submit(lane="other")
    assert [bench.position(job_id)[0] for job_id in busy[1:]] == [3, 4]
    # Turns are equal here, and which is first is a matter of chance; but not that they agree.
    assert {bench.position(job_id)[0] for job_id in (busy[0], other)} == {1, 2}
    bench.quota = replace(bench.quota, creates=1)
    [step] = bench.claim().steps
    assert bench.position(step.job_id)[0] is None
    assert bench.position(other if step.job_id != other else busy[0])[0] == 1


def test_the_position_of_a_job_that_names_an_account_counts_both_queues(bench: Bench) -> None:
    bench.ledger.queue.claim(NORTH, SOUTH)
    for _ in range(3):
        bench.submit()
    bench.submit(account="south")
    first, second = bench.submit(account="north"), bench.submit(account="north")
    bench.submit()
    assert bench.position(first) == (4, None)
    assert bench.position(second) == (5, None)


def test_a_job_outside_the_ready_queues_has_no_position(bench: Bench) -> None:
    job_id, grant = bench.sending()
    bench.ledger.jobs.retry(job_id, grant.attempt, REFUSED, delay=7)
    assert bench.position(job_id) == (None, at(7))
    assert bench.position("unknown") == (None, None)


# Forecasts


def test_a_queued_job_has_an_estimated_start_and_end(bench: Bench) -> None:
    bench.quota = replace(bench.quota, creates=2, margin=0.25)
    jobs = [bench.submit() for _ in range(5)]
    bench.claim()
    bench.now += 3.0
    third, fifth = status(bench, jobs[2]), status(bench, jobs[4])
    assert (third.position, fifth.position) == (1, 3)
    assert third.starts_at
    assert fifth.starts_at
    assert (third.starts_at - at(10.25)).total_seconds() == pytest.approx(0, abs=0.01)
    assert (fifth.starts_at - at(20.5)).total_seconds() == pytest.approx(0, abs=0.01)
    assert third.ends_at
    typical = bench.ledger.durations.of("ideogram/v3-text-to-image:BALANCED:1").median
    assert (third.ends_at - third.starts_at).total_seconds() == pytest.approx(typical, abs=0.001)
    claimed = status(bench, jobs[0])
    assert (claimed.position, claimed.starts_at) == (None, at(3))


def test_a_job_is_sent_at_its_forecast_time(bench: Bench) -> None:
    bench.quota = replace(bench.quota, creates=3, margin=0.25)
    jobs = [bench.submit() for _ in range(20)]

    def take_what_is_there() -> list[str]:
        steps = bench.claim().steps
        for step in steps:
            bench.ledger.jobs.begin(step.job_id, step.lease, "token", deadline=900)
            bench.ledger.jobs.accepted(step.job_id, 1, f"task of {step.job_id}", poll_in=600)
        return [step.job_id for step in steps]

    take_what_is_there()
    told = status(bench, jobs[10]).starts_at
    assert told
    while bench.now < told.timestamp() - 0.25:
        bench.now += 0.25
        assert jobs[10] not in take_what_is_there()
    bench.now += 0.3
    assert jobs[10] in take_what_is_there()


def test_no_start_is_forecast_before_the_end_of_a_pause(bench: Bench) -> None:
    bench.claim()
    job_id = bench.submit()
    bench.ledger.accounts.pause("main", seconds=60)
    assert status(bench, job_id).starts_at == at(60)
    bench.ledger.accounts.pause("main")
    paused = status(bench, job_id)
    assert (paused.position, paused.starts_at, paused.ends_at) == (1, None, None)


def test_nothing_is_forecast_without_a_worker(bench: Bench) -> None:
    assert status(bench, bench.submit()).starts_at is None


def test_the_status_shows_the_pause_that_delays_a_job(bench: Bench) -> None:
    bench.ledger.queue.claim(NORTH, SOUTH)
    anywhere, pinned = bench.submit(), bench.submit(account="north")
    bench.ledger.accounts.pause("north")
    assert [status(bench, job).paused for job in (anywhere, pinned)] == [None, "by_hand"]
    bench.ledger.accounts.pause("south", seconds=60)
    assert [status(bench, job).paused for job in (anywhere, pinned)] == ["by_hand", "by_hand"]
    bench.now += 31
    assert status(bench, anywhere).paused == "no_worker"


def test_an_account_without_a_worker_starts_nothing(bench: Bench) -> None:
    bench.ledger.queue.claim(NORTH, SOUTH)
    anywhere, pinned = bench.submit(), bench.submit(account="north")
    bench.now += 31
    bench.ledger.queue.claim(SOUTH)
    assert status(bench, anywhere).starts_at
    assert status(bench, pinned).starts_at is None


def test_a_job_that_names_a_paused_account_waits_for_it(bench: Bench) -> None:
    bench.ledger.queue.claim(NORTH, SOUTH)
    anywhere, pinned = bench.submit(), bench.submit(account="north")
    bench.ledger.accounts.pause("north", seconds=60)
    assert status(bench, anywhere).starts_at == at(0)
    told = status(bench, pinned)
    assert (told.account, told.starts_at) == ("north", at(60))


def test_a_refused_job_starts_after_its_back_off(bench: Bench) -> None:
    job_id, grant = bench.sending()
    bench.ledger.jobs.retry(job_id, grant.attempt, REFUSED, delay=7)
    assert status(bench, job_id).starts_at == at(7)


def test_a_job_over_budget_has_no_estimated_start(bench: Bench) -> None:
    bench.submit()
    send(bench)
    job_id = bench.submit("another")
    bench.ledger.queue.claim(bench.quota, money=replace(PRICES, caps=Caps(day=Decimal(10))))
    assert status(bench, job_id).starts_at is None
    assert status(bench, job_id).over_budget == "day"
    assert bench.ledger.budget.spend(1).standing.waiting == {"day": 1}


def test_a_running_task_has_an_estimated_end(bench: Bench) -> None:
    job_id = bench.generating()
    bench.now += 6.0
    left = bench.ledger.durations.of("ideogram/v3-text-to-image:BALANCED:1").remaining(6.0)
    assert status(bench, job_id).starts_at is None
    ends_at = status(bench, job_id).ends_at
    assert ends_at
    assert (ends_at - at(6.0)).total_seconds() == pytest.approx(left, abs=0.001)
    bench.now += 60.0
    later = status(bench, job_id).ends_at
    assert later
    assert later > at(67)
    bench.succeed(job_id)
    assert status(bench, job_id).ends_at is None


def test_the_status_shows_lane_account_and_expiry(bench: Bench) -> None:
    bench.ledger.queue.claim(NORTH)
    told = status(bench, bench.submit(lane="tenant", account="north", expires_in=30))
    assert (told.lane, told.account, told.expires_at) == ("tenant", "north", at(30))
    plain = status(bench, bench.submit())
    assert (plain.lane, plain.account, plain.expires_at) == (None, None, None)


# Money


def test_days_without_spending_are_reported(bench: Bench) -> None:
    books = bench.ledger.budget.spend(3)
    assert [day.date for day in books.days] == [date(2027, 1, 13), date(2027, 1, 14), date(2027, 1, 15)]
    assert {(day.spent, day.tasks) for day in books.days} == {(Decimal(0), 0)}
    assert (books.standing.held, books.standing.doubtful) == (Decimal(0), Decimal(0))


def test_credits_are_held_while_a_task_runs_and_spent_at_its_end(bench: Bench) -> None:
    bench.submit(lane="tenant")
    job_id, grant = send(bench)
    bench.ledger.jobs.accepted(job_id, grant.attempt, "t1", poll_in=1)
    held = bench.ledger.budget.spend(1).standing
    assert (held.held, held.held_by_account, held.held_by_lane) == (SEVEN, {"main": SEVEN}, {"tenant": SEVEN})
    speaking.task_succeeded(bench.ledger, job_id, "t1", ["https://a"], Decimal("3.5"), ttl=60)
    books = bench.ledger.budget.spend(1)
    [today] = books.days
    assert (today.spent, today.tasks) == (Decimal("3.5"), 1)
    assert (today.by_account, today.by_lane) == ({"main": Decimal("3.5")}, {"tenant": Decimal("3.5")})
    assert (books.standing.held, books.standing.held_by_lane) == (NONE, {})


def test_a_failure_costs_nothing_and_a_doubt_is_doubtful_money(bench: Bench) -> None:
    bench.submit()
    job_id, grant = send(bench)
    bench.ledger.jobs.accepted(job_id, grant.attempt, "t1", poll_in=1)
    speaking.task_failed(bench.ledger, job_id, "t1", GenerationFailed("It broke"), ttl=60)
    bench.submit()
    unknown, grant = send(bench)
    bench.ledger.jobs.doubt(unknown, grant.attempt, {"cause": "timeout"}, grace=0)
    assert bench.ledger.budget.spend(1).standing.held == 7
    bench.ledger.jobs.fail(unknown, InDoubt("unknown"), [JobState.IN_DOUBT])
    standing = bench.ledger.budget.spend(1).standing
    assert (standing.held, standing.doubtful, standing.doubtful_by_account) == (NONE, SEVEN, {"main": SEVEN})


def test_spending_is_reported_by_day(bench: Bench) -> None:
    bench.submit()
    job_id, grant = send(bench)
    bench.ledger.jobs.accepted(job_id, grant.attempt, "t1", poll_in=1)
    speaking.task_succeeded(bench.ledger, job_id, "t1", ["https://a"], Decimal(100), ttl=60)
    bench.now += 86_400
    assert [str(day.spent) for day in bench.ledger.budget.spend(2).days] == ["100", "0"]
