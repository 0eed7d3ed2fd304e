"""Housekeeping, which restores missing entries of the indexes."""

from collections.abc import Callable
from dataclasses import replace

from tests.integration.limner.ledger.conftest import Bench
from tests.integration.limner.ledger.errands import ONE, accept, claim, many, of, rest, waiting


def lose(bench: Bench, *indexes: str) -> None:
    for index in indexes:
        assert bench.client.zrem(bench.ledger.prefix + index, "one") == 1


def found_by_housekeeping(bench: Bench, poll: Callable[[], list[str]]) -> None:
    assert poll() == []
    bench.now += 5.0
    bench.ledger.queue.maintain()
    assert len(poll()) == 1


def test_a_job_whose_account_is_lost_from_the_index_is_found_by_housekeeping(bench: Bench) -> None:
    claim(bench, ONE)
    bench.ledger.queue.maintain()
    rest(bench, ONE)
    bench.submit(account="one")
    lose(bench, "active")
    found_by_housekeeping(bench, lambda: of(claim(bench, ONE)))


def test_a_poll_whose_account_is_lost_from_the_index_is_found_by_housekeeping(bench: Bench) -> None:
    none = replace(ONE, polls=1)
    claim(bench, none)
    bench.ledger.queue.maintain()
    for number in range(2):
        bench.submit(f"fox {number}", account="one")
    for step in claim(bench, none):
        accept(bench, step, poll_in=2.0)
    bench.now += 2.0
    assert len(claim(bench, none)) == 1
    lose(bench, "active")
    bench.now += 2.0
    found_by_housekeeping(bench, lambda: of(claim(bench, none)))


def test_an_account_that_is_lost_from_both_indexes_sends_again_after_housekeeping(bench: Bench) -> None:
    claim(bench, ONE)
    bench.ledger.queue.maintain()
    rest(bench, ONE)
    lose(bench, "open")
    bench.submit()
    found_by_housekeeping(bench, lambda: of(claim(bench, ONE)))


def test_a_pause_that_is_lost_from_the_index_ends_after_housekeeping(bench: Bench) -> None:
    claim(bench, ONE)
    bench.ledger.queue.maintain()
    bench.ledger.accounts.pause("one", seconds=10.0)
    job_id = waiting(bench, pinned=True)
    lose(bench, "active")
    bench.now += 10.0
    assert claim(bench, ONE) == []
    bench.ledger.queue.maintain()
    assert of(claim(bench, ONE)) == [job_id]


def test_housekeeping_reaches_every_account_in_batches(bench: Bench) -> None:
    claim(bench, *many(50))
    assert [bench.ledger.queue.maintain() for _ in range(4)] == [True, True, False, False]
    bench.now += 5.0
    assert [bench.ledger.queue.maintain() for _ in range(4)] == [True, True, False, False]
