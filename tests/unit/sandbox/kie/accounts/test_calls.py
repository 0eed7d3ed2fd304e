import itertools
import time

import pytest

from sandbox.kie.accounts import calls as module
from sandbox.kie.accounts.accounts import Accounts, Caller
from sandbox.kie.accounts.calls import CREATE, READ, Calls
from sandbox.kie.options import ProviderOptions


@pytest.fixture
def north() -> Caller | None:
    return Accounts(ProviderOptions(accounts="north=n1+n2,south=s1")).caller("Bearer n2")


def test_a_call_is_logged_with_its_arrival_key_and_outcome(north: Caller | None) -> None:
    log = Calls()
    arrival = log.arrived(CREATE, 1_000.5, north)
    log.created(arrival, "t1")
    [call] = log.page(0)["calls"]
    assert (call["outcome"], call["task_id"]) == ("pending", "t1")
    log.ended(arrival, "200")
    assert log.page(0)["calls"] == [
        {
            "number": 1,
            "at_ms": 1_000_500.0,
            "endpoint": "createTask",
            "account": "north",
            "key": 1,
            "outcome": "200",
            "task_id": "t1",
        }
    ]


def test_calls_are_in_the_order_of_their_arrival(north: Caller | None) -> None:
    log = Calls()
    first, second = log.arrived(READ, 1.0, north, "a"), log.arrived(READ, 2.0, north, "b")
    log.ended(second, "429")
    log.ended(first, "200")
    assert [(call["task_id"], call["outcome"]) for call in log.page(0)["calls"]] == [
        ("a", "200"),
        ("b", "429"),
    ]


def test_a_call_with_an_unknown_key_has_no_account_and_no_figures() -> None:
    log = Calls()
    log.ended(log.arrived(READ, 1.0, None), "401")
    assert (log.page(0)["calls"][0]["account"], log.page(0)["calls"][0]["key"]) == (None, None)
    assert log.most_reads_in_second == 0


def test_pages_are_consecutive(monkeypatch: pytest.MonkeyPatch, north: Caller | None) -> None:
    monkeypatch.setattr(module, "PAGE", 3)
    log = Calls()
    for second in range(7):
        log.arrived(READ, float(second), north)
    pages = [log.page(after) for after in (0, 3, 6, 7)]
    assert [[call["number"] for call in page["calls"]] for page in pages] == [[1, 2, 3], [4, 5, 6], [7], []]
    assert [page["more"] for page in pages] == [True, True, False, False]


def test_the_oldest_calls_are_dropped_and_numbers_are_kept(
    monkeypatch: pytest.MonkeyPatch, north: Caller | None
) -> None:
    monkeypatch.setattr(module, "KEPT", 2)
    log = Calls()
    arrivals = [log.arrived(READ, float(second), north) for second in range(4)]
    for arrival, outcome in zip(arrivals, ("a", "b", "c", "d"), strict=True):
        log.ended(arrival, outcome)
    assert [(call["number"], call["outcome"]) for call in log.page(0)["calls"]] == [(3, "c"), (4, "d")]
    assert log.of("north", 2)["calls"] == {"recordInfo": {"a": 1, "b": 1, "c": 1, "d": 1}}


def test_each_key_has_its_own_peak_of_reads_including_refused_ones(north: Caller | None) -> None:
    assert north is not None
    log = Calls()
    other = Caller(north.account, "n1")
    for at, caller in [(0.0, north), (0.1, other), (0.5, north), (0.9, north), (1.2, north)]:
        log.ended(log.arrived(READ, at, caller), "429")
    assert log.of("north", 2)["most_reads_in_second"] == [1, 3]
    assert log.most_reads_in_second == 3
    log.ended(log.arrived(CREATE, 1.3, north), "200")
    assert log.most_reads_in_second == 3


def test_logging_a_hundred_thousand_calls_takes_linear_time(north: Caller | None) -> None:
    log = Calls()
    began = time.perf_counter()
    for number in range(100_000):
        log.ended(log.arrived(READ, number / 10, north, "t"), "200")
    assert time.perf_counter() - began < 5.0  # measured: 0.3 s; a search for each call would take minutes
    numbers = [call["number"] for after in range(0, 100_000, 10_000) for call in log.page(after)["calls"]]
    assert all(later == earlier + 1 for earlier, later in itertools.pairwise(numbers))
    assert len(numbers) == 100_000
