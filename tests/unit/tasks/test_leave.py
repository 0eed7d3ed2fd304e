"""The permission to send an attempt."""

from collections.abc import Callable, Sequence

import pytest

from limner.errors import StoreUnavailable
from tasks.leave import FARTHEST, MOMENT, NEAR, RENEWALS, Leave
from tasks.stopwatch import Stopwatch


def stopped_for(seconds: float) -> Stopwatch:
    """A stopwatch that shows so many seconds."""
    readings = iter([0.0])
    return Stopwatch(lambda: next(readings, seconds), lambda: 0.0)


def asked(answers: list[bool]) -> tuple[list[bool], Callable[[], bool]]:
    """A ledger with these answers, and those that it has given."""
    given: list[bool] = []

    def renew() -> bool:
        given.append(answers[len(given)])
        return given[-1]

    return given, renew


def test_a_request_goes_out_within_a_moment_of_its_begin() -> None:
    given, renew = asked([])
    assert Leave(renew, stopped_for(MOMENT))()
    assert given == []


@pytest.mark.parametrize("answer", [True, False])
def test_later_the_ledger_decides(answer: bool) -> None:
    given, renew = asked([answer])
    assert Leave(renew, stopped_for(8.0))() is answer
    assert given == [answer]


def test_the_wall_clock_shows_a_suspension_that_the_other_one_does_not() -> None:
    readings = iter([0.0])
    given, renew = asked([False])
    assert not Leave(renew, Stopwatch(lambda: 0.0, lambda: next(readings, 8.0)))()
    assert given == [False]


def test_a_machine_that_is_too_slow_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.leave.MOMENT", -1.0)
    monkeypatch.setattr("tasks.leave.NOISE", -1.0)
    given, renew = asked([True] * 10)
    assert not Leave(renew, stopped_for(8.0))()
    assert len(given) == RENEWALS


def renewals_that_take(
    monkeypatch: pytest.MonkeyPatch, durations: Sequence[float]
) -> tuple[list[float], Callable[[], bool]]:
    """A ledger whose renewals take these seconds, and those that it has made."""
    now = [0.0]
    made: list[float] = []
    monkeypatch.setattr("tasks.leave.Stopwatch", lambda: Stopwatch(lambda: now[0], lambda: now[0]))

    def renew() -> bool:
        made.append(durations[len(made)])
        now[0] += made[-1]
        return True

    return made, renew


@pytest.mark.parametrize("way", [0.11, 0.3, FARTHEST])
def test_a_redis_that_is_far_away_is_renewed_a_few_times_and_goes_out(
    monkeypatch: pytest.MonkeyPatch, way: float
) -> None:
    made, renew = renewals_that_take(monkeypatch, [way] * RENEWALS)
    assert Leave(renew, stopped_for(8.0))()
    assert len(made) == NEAR


def test_what_exceeds_the_quickest_renewal_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    made, renew = renewals_that_take(monkeypatch, [0.2, 0.5, 0.6, 0.29, 0.22, 0.2])
    assert Leave(renew, stopped_for(8.0))()
    assert len(made) == 5


def test_a_redis_that_is_too_far_away_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    made, renew = renewals_that_take(monkeypatch, [FARTHEST + MOMENT] * RENEWALS)
    assert not Leave(renew, stopped_for(8.0))()
    assert len(made) == RENEWALS


def test_without_the_ledger_nothing_goes_out() -> None:
    def away() -> bool:
        raise StoreUnavailable("no answer")

    assert not Leave(away, stopped_for(8.0))()
