"""Progress of the schedule."""

from tests.integration.limner.ledger.conftest import Bench


def test_a_new_mark_begins_now(bench: Bench) -> None:
    assert bench.ledger.ticks.take_up(["hourly"], 1000) == {"hourly": 1000}


def test_a_mark_that_was_there_goes_on_from_its_last_tick(bench: Bench) -> None:
    bench.ledger.ticks.take_up(["hourly", "daily"], 1000)
    bench.ledger.ticks.record("hourly", 4600)
    assert bench.ledger.ticks.take_up(["hourly", "daily"], 9999) == {"hourly": 4600, "daily": 1000}


def test_a_mark_that_is_not_taken_up_is_forgotten(bench: Bench) -> None:
    bench.ledger.ticks.take_up(["hourly"], 1000)
    assert bench.ledger.ticks.take_up([], 2000) == {}
    assert bench.ledger.ticks.take_up(["hourly"], 3000) == {"hourly": 3000}
