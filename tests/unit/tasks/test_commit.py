"""Patience with a Redis that cannot serve."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
from celery.worker import state

from limner.errors import NotDurable, RecordUnreadable, StoreUnavailable
from tasks.commit import PATIENCE, SURE, is_stopping, patiently, put_outcome
from worker.rescue import SUFFIX, Outcome, Rescue

ACCEPTED = Outcome("J", 2, "accepted", ("T",), delay=3.0)

ODD = [
    redis.ResponseError("max daily request limit exceeded"),
    redis.ResponseError("BUSY Redis is busy running a script"),
    redis.ResponseError("NOSCRIPT No matching script"),
    redis.exceptions.InvalidResponse("Protocol Error: b'@'"),
    redis.exceptions.NoPermissionError("this user has no permissions"),
    OSError(5, "an odd one"),
    StoreUnavailable("away"),
    KeyError("an answer that lacks a part"),
]


class Away:
    """A transition that works from the n-th call on, and the clock that it is called by."""

    def __init__(self, calls_until_back: int, error: Exception | None = None) -> None:
        self.calls = 0
        self.now = 0.0
        self._until = calls_until_back
        self._error = error or StoreUnavailable("away")

    def __call__(self) -> str:
        self.calls += 1
        if self.calls < self._until:
            raise self._error
        return "done"

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def put(self, rescue: Rescue, outcome: Outcome = ACCEPTED) -> str:
        return put_outcome(self, outcome, rescue, sleep=self.sleep, monotonic=lambda: self.now)


def files(folder: Path) -> list[Path]:
    return list(folder.glob(f"*{SUFFIX}"))


def test_a_transition_is_repeated_until_redis_is_back() -> None:
    away = Away(5)
    assert patiently(away, "x", sleep=away.sleep, monotonic=lambda: away.now) == "done"
    assert away.calls == 5


def test_patience_ends_and_tells_a_person(caplog: pytest.LogCaptureFixture) -> None:
    away = Away(10**9)
    with pytest.raises(StoreUnavailable):
        patiently(away, "task T of job J", patience=10.0, sleep=away.sleep, monotonic=lambda: away.now)
    assert 10.0 <= away.now < 11.0
    assert "task T of job J" in caplog.text
    assert not [each for each in caplog.records if each.levelno >= logging.CRITICAL]


@pytest.mark.parametrize("error", ODD[:-2], ids=repr)
def test_no_error_of_redis_ends_the_patience_of_a_step(error: Exception) -> None:
    away = Away(5, error)
    assert patiently(away, "x", sleep=away.sleep, monotonic=lambda: away.now) == "done"


def test_a_step_that_stumbles_is_not_repeated() -> None:
    away = Away(5, KeyError("a bug"))
    with pytest.raises(KeyError):
        patiently(away, "x", sleep=away.sleep, monotonic=lambda: away.now)
    assert away.calls == 1


@pytest.mark.parametrize("error", ODD, ids=repr)
def test_no_error_at_all_ends_the_patience_after_a_request(error: Exception, tmp_path: Path) -> None:
    away = Away(200, error)
    assert away.put(Rescue(tmp_path)) == "done"
    assert away.calls == 200
    assert files(tmp_path) == []


@pytest.mark.parametrize("error", ODD, ids=repr)
def test_what_is_not_on_record_after_the_patience_is_told_and_kept(
    error: Exception, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    away = Away(10**9, error)
    with pytest.raises(StoreUnavailable):
        away.put(Rescue(tmp_path))
    assert PATIENCE <= away.now < PATIENCE + 1
    [line] = [each.getMessage() for each in caplog.records if each.levelno >= logging.CRITICAL]
    [kept] = files(tmp_path)
    for word in ("job J", "attempt 2", "task T", "python -m limner resolve J --adopt T", str(kept)):
        assert word in line


def test_the_outcome_is_kept_before_the_patience_ends_in_case_the_worker_does(tmp_path: Path) -> None:
    seen: list[int] = []
    away = Away(40)

    def transition() -> str:
        seen.append(len(files(tmp_path)))
        return away()

    put_outcome(transition, ACCEPTED, Rescue(tmp_path), sleep=away.sleep, monotonic=lambda: away.now)
    assert seen[0] == 0
    assert seen[-1] == 1
    assert files(tmp_path) == []


def test_a_file_whose_outcome_may_not_be_durable_is_left_for_a_worker_of_this_process(tmp_path: Path) -> None:
    away, rescue = Away(40), Rescue(tmp_path)

    def transition() -> str:
        if away.calls == 30:
            raise NotDurable("no replica has it")
        return away()

    with pytest.raises(NotDurable):
        put_outcome(transition, ACCEPTED, rescue, sleep=away.sleep, monotonic=lambda: away.now)
    assert [path.name for path in files(tmp_path)] == [path.name for path in rescue.waiting()]


def test_a_worker_that_is_stopping_tells_at_once_what_it_may_lose(caplog: pytest.LogCaptureFixture) -> None:
    away = Away(40)
    told: list[int] = []

    def transition() -> str:
        told.append(sum(each.levelno >= logging.CRITICAL for each in caplog.records))
        return away()

    put_outcome(
        transition,
        ACCEPTED,
        Rescue(None),
        stopping=lambda: away.calls > 20,
        sleep=away.sleep,
        monotonic=lambda: away.now,
    )
    assert (told[20], told[21], told[-1]) == (0, 1, 1)
    assert "run python -m limner resolve J --adopt T" in caplog.text
    assert "is on record after all" in caplog.text


def test_what_was_told_by_a_worker_that_is_stopping_is_not_told_twice(
    caplog: pytest.LogCaptureFixture,
) -> None:
    away = Away(10**9)
    with pytest.raises(StoreUnavailable):
        put_outcome(
            away,
            ACCEPTED,
            Rescue(None),
            stopping=lambda: True,
            sleep=away.sleep,
            monotonic=lambda: away.now,
        )
    assert len([each for each in caplog.records if each.levelno >= logging.CRITICAL]) == 1


def test_celery_tells_with_an_exit_code_that_a_worker_is_stopping(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_stopping()
    monkeypatch.setattr(state, "should_stop", 0)
    assert is_stopping()


def test_without_a_folder_the_line_says_what_to_do(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(StoreUnavailable):
        Away(10**9).put(Rescue(None))
    assert "once Redis serves again, run python -m limner resolve J --adopt T" in caplog.text


def test_a_lost_refusal_is_no_paid_answer(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(StoreUnavailable):
        Away(10**9).put(Rescue(None), Outcome("J", 2, "refused"))
    assert [each.levelname for each in caplog.records if "is not on record" in each.getMessage()] == ["ERROR"]


def test_a_single_broken_reply_is_no_broken_record() -> None:
    away = Away(SURE, RecordUnreadable("the record of job J is damaged"))
    assert away.put(Rescue(None)) == "done"


def test_a_broken_record_ends_the_patience_and_keeps_the_outcome(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    away = Away(10**9, RecordUnreadable("the record of job J is damaged"))
    with pytest.raises(RecordUnreadable):
        away.put(Rescue(tmp_path))
    assert away.calls == SURE
    assert len(files(tmp_path)) == 1
    assert "python -m limner resolve J --adopt T" in caplog.text


@pytest.mark.parametrize("put", [lambda away: away.put(Rescue(None)), lambda away: patiently(away, "x")])
def test_what_is_not_durable_is_left_to_the_caller(put: Callable[[Away], str]) -> None:
    away = Away(10**9, NotDurable("no disk has it"))
    with pytest.raises(NotDurable):
        put(away)
    assert away.calls == 1
