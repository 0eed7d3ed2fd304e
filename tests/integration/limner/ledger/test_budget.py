"""The books as they are read."""

from datetime import UTC, datetime
from decimal import Decimal

from limner.ledger.layout.constants import DAY
from limner.ledger.layout.keys import MONEY, MONEY_HELD, MONEY_LANES, OVER_BUDGET, OVER_BUDGET_OF
from tests.integration.limner.ledger.conftest import START, Bench

TODAY = int(START * 1000 // DAY)


def test_days_without_spending_are_among_them_and_today_is_the_last(bench: Bench) -> None:
    days = bench.ledger.budget.spend(3).days
    assert [day.spent for day in days] == [Decimal(0)] * 3
    assert days[-1].date == datetime.fromtimestamp(START, UTC).date()
    assert [(days[-1].date - day.date).days for day in days] == [2, 1, 0]


def test_what_was_spent_is_split_by_account_and_lane_and_zeros_are_left_out(bench: Bench) -> None:
    spent = {
        "spent": 3_500_000,
        "tasks": 1,
        "spent:account:north": 3_500_000,
        "spent:account:south": 0,
    }
    prefix = bench.ledger.prefix
    bench.client.hset(MONEY(prefix, TODAY), mapping=spent)
    bench.client.hset(MONEY_LANES(prefix, TODAY), mapping={"a:b": 3_500_000, "c": 0})
    for key in (MONEY, MONEY_LANES):
        bench.client.expire(key(prefix, TODAY), 60)
    [day] = bench.ledger.budget.spend(1).days
    assert (day.spent, day.tasks) == (Decimal("3.5"), 1)
    assert (day.by_account, day.by_lane) == ({"north": Decimal("3.5")}, {"a:b": Decimal("3.5")})


def test_whole_credits_are_written_without_an_exponent(bench: Bench) -> None:
    bench.client.hset(MONEY_HELD(bench.ledger.prefix), mapping={"held": 100_000_000, "doubtful": 1})
    standing = bench.ledger.budget.spend(1).standing
    assert (str(standing.held), str(standing.doubtful)) == ("100", "0.000001")


def test_jobs_that_wait_for_money_are_counted_by_their_cap(bench: Bench) -> None:
    prefix = bench.ledger.prefix
    bench.client.zadd(OVER_BUDGET(prefix), {"day": 1, "lane:a": 2})
    bench.client.zadd(OVER_BUDGET_OF(prefix, "lane:a"), {"j1": 1, "j2": 2})
    assert bench.ledger.budget.spend(1).standing.waiting == {"day": 0, "lane:a": 2}
