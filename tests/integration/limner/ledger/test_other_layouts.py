"""A ledger of another layout is refused, and stays as it is."""

from collections.abc import Callable

import pytest

from limner.errors import RecordTooNew, RecordUnreadable
from limner.ledger.layout.constants import VERSION
from tests.integration.limner.ledger.conftest import Bench

WAYS: dict[str, Callable[[Bench], object]] = {
    "submit": lambda bench: bench.submit(),
    "claim": lambda bench: bench.claim(),
    "question": lambda bench: bench.ledger.check_layout(),
}
by_way = pytest.mark.parametrize("use", WAYS.values(), ids=WAYS)


def everything(bench: Bench) -> dict[str, bytes]:
    return {key: bench.client.dump(key) for key in bench.client.keys("*")}


@by_way
def test_a_ledger_without_a_mark_is_refused_with_a_way_out(
    bench: Bench, use: Callable[[Bench], object]
) -> None:
    bench.client.sadd(bench.ledger.prefix + "accounts", "main")
    before = everything(bench)
    with pytest.raises(
        RecordUnreadable, match=rf"layout of before 5, known is {VERSION}: let workers .* finish its jobs"
    ):
        use(bench)
    assert everything(bench) == before


@by_way
@pytest.mark.parametrize(("layout", "error"), [(VERSION - 1, RecordUnreadable), (VERSION + 1, RecordTooNew)])
def test_another_mark_is_refused(
    bench: Bench, use: Callable[[Bench], object], layout: int, error: type[Exception]
) -> None:
    bench.client.set(bench.ledger.prefix + "layout", layout)
    before = everything(bench)
    with pytest.raises(error, match=f"layout {layout}, known is {VERSION}"):
        use(bench)
    assert everything(bench) == before


@by_way
def test_an_empty_ledger_gets_the_mark(bench: Bench, use: Callable[[Bench], object]) -> None:
    use(bench)
    assert bench.client.get(bench.ledger.prefix + "layout") == str(VERSION)


def test_a_ledger_that_was_emptied_under_its_workers_gets_the_mark_again(bench: Bench) -> None:
    bench.claim()
    bench.client.flushdb()
    bench.claim()
    assert bench.client.get(bench.ledger.prefix + "layout") == str(VERSION)
