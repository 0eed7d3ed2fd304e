"""The sleep of a dispatcher."""

import threading
from collections.abc import Iterator

import pytest

from limner._redis import connect
from limner.errors import StoreUnavailable
from limner.ledger.layout.keys import WAKEUP
from limner.ledger.wakeup import WakeUp
from tests.integration.limner.ledger.conftest import Bench


@pytest.fixture
def wakeup(bench: Bench) -> Iterator[WakeUp]:
    made = WakeUp(bench.client, WAKEUP(bench.ledger.prefix))
    yield made
    made.close()


def notify(bench: Bench) -> None:
    bench.client.rpush(WAKEUP(bench.ledger.prefix), 1)


def test_a_notice_from_before_the_sleep_ends_it_at_once(bench: Bench, wakeup: WakeUp) -> None:
    notify(bench)
    assert wakeup.wait(10.0)
    assert not wakeup.wait(0.001)


def test_a_notice_during_the_sleep_ends_it(bench: Bench, wakeup: WakeUp) -> None:
    sleeper: list[bool] = []
    thread = threading.Thread(target=lambda: sleeper.append(wakeup.wait(10.0)))
    thread.start()
    notify(bench)
    thread.join(10.0)
    assert sleeper == [True]


def test_a_notice_between_two_sleeps_is_not_lost(bench: Bench, wakeup: WakeUp) -> None:
    assert not wakeup.wait(0.001)
    notify(bench)
    assert wakeup.wait(10.0)


def test_a_call_without_an_answer_is_made_once(bench: Bench, wakeup: WakeUp) -> None:
    for _ in range(3):
        assert not wakeup.wait(0.001)
    notify(bench)
    assert wakeup.wait(10.0)
    # A second call would take this one, though nobody sleeps.
    notify(bench)
    assert bench.client.llen(WAKEUP(bench.ledger.prefix)) == 1


def test_what_is_closed_takes_no_notice_from_others(bench: Bench, wakeup: WakeUp) -> None:
    assert not wakeup.wait(0.001)
    wakeup.close()
    notify(bench)
    assert wakeup.wait(10.0)


def test_a_redis_that_is_away_is_told() -> None:
    with pytest.raises(StoreUnavailable):
        WakeUp(connect("redis://127.0.0.1:1/0"), "wakeup").wait(0.001)
