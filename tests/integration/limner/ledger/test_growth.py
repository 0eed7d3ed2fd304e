"""The bounds of what a ledger keeps. All other keys are looked at after each test (``conftest.py``)."""

from decimal import Decimal

import pytest

from limner.ledger.layout import constants, keys
from limner.ledger.layout.bounds import LASTING
from limner.ledger.layout.keys import KEYS
from tests.growth import kind_of, unbounded
from tests.integration.limner.ledger.conftest import Bench, new
from tests.integration.limner.ledger.test_money import sending, succeed

LARGE = {"note": "x" * 4000}


def fill(bench: Bench, count: int, **options: object) -> None:
    for start in range(0, count, 500):
        jobs = [new("a fox", **options) for _ in range(min(500, count - start))]
        bench.ledger.jobs.submit_many(jobs)


def spend(bench: Bench, lane: str) -> None:
    """Buy an image for 7 credits in the lane."""
    task = f"task of {lane}"
    job_id, grant = sending(bench, lane=lane)
    bench.ledger.jobs.accepted(job_id, grant.attempt, task, poll_in=600.0)
    succeed(bench, job_id, "7", task)


def test_large_metadata_do_not_fill_the_event_stream(bench: Bench) -> None:
    events = keys.EVENTS(bench.ledger.prefix)
    fill(bench, 5500, metadata=LARGE)
    largest = (constants.KEEP_PIECES + 2) * constants.EVENT_PIECE
    assert bench.client.memory_usage(events, samples=0) < 1.1 * largest
    assert 4000 < bench.client.xlen(events) < 5500
    # The newest are there, and continue the stream.
    job_id = bench.submit(metadata=LARGE)
    [newest] = bench.client.xrevrange(events, count=1)
    assert newest[1]["job"] == job_id


def test_usual_events_count_for_no_bound_in_bytes(bench: Bench) -> None:
    fill(bench, 10, metadata={"order": 12345})
    assert not bench.client.exists(keys.EVENTS_EXCESS(bench.ledger.prefix))


def test_a_damaged_mark_of_the_stream_stops_no_job(bench: Bench) -> None:
    key = keys.EVENTS_EXCESS(bench.ledger.prefix)
    marks = dict.fromkeys(map(str, range(constants.KEEP_PIECES)), "no id")
    bench.client.hset(key, mapping={"bytes": constants.EVENT_PIECE, **marks})
    assert bench.submit(metadata=LARGE)
    assert bench.client.hget(key, "bytes") == "0"


def test_housekeeping_forgets_events_of_more_than_a_month(bench: Bench) -> None:
    events = keys.EVENTS(bench.ledger.prefix)
    # Whole nodes of the stream are forgotten.
    for number in range(1, 301):
        bench.client.xadd(events, {"job": "old"}, id=f"{number}-0")
    bench.submit()
    bench.ledger.queue.maintain()
    assert bench.client.xlen(events) <= 101
    [newest] = bench.client.xrevrange(events, count=1)
    assert newest[1]["event"] == "submitted"


def test_lanes_without_money_leave_nothing_among_what_is_held(bench: Bench) -> None:
    for number in range(3):
        spend(bench, f"lane {number}")
    held = bench.client.hgetall(keys.MONEY_HELD(bench.ledger.prefix))
    assert held == {"held": "0", "held:account:main": "0"}


@pytest.mark.parametrize(
    ("others", "days"), [(constants.MANY_LANES - 1, 400), (constants.MANY_LANES, constants.KEEP_LANES_DAYS)]
)
def test_the_spending_by_lane_of_a_day_of_many_lanes_is_kept_for_days(
    bench: Bench, others: int, days: int
) -> None:
    lanes = keys.MONEY_LANES(bench.ledger.prefix, int(bench.now * 1000) // constants.DAY)
    bench.client.hset(lanes, mapping={f"other {number}": 1 for number in range(others)})
    spend(bench, "shop")
    assert bench.client.hget(lanes, "shop") == "7000000"
    assert abs(bench.client.pttl(lanes) / constants.DAY - days) < 0.01


def test_lanes_beyond_the_bound_count_for_the_day_alone(bench: Bench) -> None:
    lanes = keys.MONEY_LANES(bench.ledger.prefix, int(bench.now * 1000) // constants.DAY)
    for start in range(0, constants.MOST_LANES, 10_000):
        bench.client.hset(lanes, mapping={f"other {start + number}": 1 for number in range(10_000)})
    spend(bench, "shop")
    assert bench.client.hlen(lanes) == constants.MOST_LANES
    spend(bench, "other 5")
    assert bench.client.hget(lanes, "other 5") == "7000001"
    [day] = bench.ledger.budget.spend(1).days
    assert day.spent == Decimal(14)
    assert len(day.by_lane) == constants.MOST_LANES


def test_a_key_that_is_moved_away_expires(bench: Bench) -> None:
    due = keys.DUE(bench.ledger.prefix)
    bench.client.set(due, "damaged")
    bench.generating()
    moved = keys.DAMAGED(bench.ledger.prefix, due)
    assert 0 < bench.client.pttl(moved) <= constants.KEEP_DROPPED


def test_the_idempotency_key_of_a_dropped_record_expires(bench: Bench) -> None:
    job_id = bench.submit(idempotency_key="order 7")
    bench.client.hset(keys.JOB(bench.ledger.prefix, job_id), "attempt", "many")
    bench.claim()
    assert bench.ledger.jobs.put_back(job_id, drop=True)
    [key] = bench.client.scan_iter(match=keys.KEY(bench.ledger.prefix, "*"))
    assert 0 < bench.client.pttl(key) <= constants.KEEP_DROPPED


# The helper that looks


def test_what_could_stay_for_ever_is_found(bench: Bench) -> None:
    prefix = bench.ledger.prefix
    bench.generating()
    assert unbounded(bench.client, prefix) == []
    strays = [keys.LOG(prefix, "gone"), keys.TAKEN(prefix, "m1"), f"{prefix}unknown"]
    for stray in strays:
        bench.client.set(stray, "1")
    assert unbounded(bench.client, prefix) == sorted(stray.removeprefix(prefix) for stray in strays)
    bench.client.delete(*strays)


def test_each_family_of_keys_is_told_from_the_others() -> None:
    for key in KEYS.values():
        assert kind_of(f"{key.name}{'x' if key.of else ''}") is key
    assert kind_of("unknown") is None


def test_no_key_has_two_bounds() -> None:
    listed = [key.name for lasting in LASTING for key in lasting.keys]
    assert len(listed) == len(set(listed))
