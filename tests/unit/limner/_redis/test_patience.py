"""Repetitions of calls: how long, and of which."""

import asyncio
import time
from collections.abc import Callable

import pytest
import redis

from limner._redis import CannotServe
from limner._redis.patience import AsyncPatience, Patience

GONE = redis.ConnectionError("gone")


class Calls:
    """A call that fails with these errors first; None is a success, and the last one stays."""

    def __init__(self, *outcomes: Exception | None) -> None:
        self._outcomes = outcomes
        self.count = 0
        self.closed = 0

    def __call__(self) -> int:
        outcome = self._outcomes[min(self.count, len(self._outcomes) - 1)]
        self.count += 1
        if outcome is not None:
            raise outcome
        return self.count

    async def later(self) -> int:
        return self()

    def close(self, *_: object) -> None:
        self.closed += 1

    async def close_later(self, *_: object) -> None:
        self.closed += 1


def blocking(calls: Calls, seconds: float) -> int:
    return Patience(seconds).call_with_retry(calls, calls.close)


def in_a_loop(calls: Calls, seconds: float) -> int:
    return asyncio.run(AsyncPatience(seconds).call_with_retry(calls.later, calls.close_later))


Way = Callable[[Calls, float], int]
both = pytest.mark.parametrize("call", [blocking, in_a_loop])


@both
@pytest.mark.parametrize("error", [GONE, OSError("gone"), CannotServe("BUSY"), redis.BusyLoadingError()])
def test_a_call_is_repeated_on_a_new_connection(call: Way, error: Exception) -> None:
    calls = Calls(error, error, None)
    assert call(calls, 5) == 3
    assert calls.closed == 2


@both
def test_the_first_repetition_follows_at_once(call: Way) -> None:
    began = time.monotonic()
    assert call(Calls(GONE, None), 5) == 2
    assert time.monotonic() - began < 0.1


@both
def test_a_call_ends_with_its_last_error_when_its_time_is_over(call: Way) -> None:
    calls = Calls(redis.ConnectionError("first"), GONE)
    began = time.monotonic()
    with pytest.raises(redis.ConnectionError, match="gone"):
        call(calls, 0.15)
    assert time.monotonic() - began < 1
    assert calls.count > 2
    assert calls.closed == calls.count


@both
@pytest.mark.parametrize(
    "error",
    [
        redis.TimeoutError("slow"),
        TimeoutError("slow"),
        redis.AuthenticationError("WRONGPASS"),
        CannotServe("DB index is out of range"),
        redis.ResponseError("WRONGTYPE"),
    ],
)
def test_what_a_repetition_cannot_heal_is_raised_at_once(call: Way, error: Exception) -> None:
    calls = Calls(error)
    with pytest.raises(type(error)):
        call(calls, 5)
    assert calls.count == 1


def test_a_connection_within_a_call_has_the_time_of_the_call() -> None:
    connecting = Calls(GONE)
    began = time.monotonic()
    with pytest.raises(redis.ConnectionError):
        Patience(0.1).call_with_retry(
            lambda: Patience(30).call_with_retry(connecting, connecting.close), lambda _: None
        )
    assert time.monotonic() - began < 1
    assert connecting.count > 2


def test_each_call_has_a_time_of_its_own() -> None:
    patience = Patience(0.1)
    for _ in range(2):
        calls = Calls(GONE)
        with pytest.raises(redis.ConnectionError):
            patience.call_with_retry(calls, calls.close)
        assert calls.count > 2


def test_each_task_has_a_time_of_its_own() -> None:
    async def both_calls() -> tuple[BaseException | int, ...]:
        short, long = Calls(GONE), Calls(GONE, GONE, GONE, GONE, GONE, None)
        return tuple(
            await asyncio.gather(
                AsyncPatience(0.02).call_with_retry(short.later, short.close_later),
                AsyncPatience(5).call_with_retry(long.later, long.close_later),
                return_exceptions=True,
            )
        )

    short, long = asyncio.run(both_calls())
    assert isinstance(short, redis.ConnectionError)
    assert long == 6


def test_what_closes_the_connection_may_end_the_call() -> None:
    calls = Calls(GONE)

    def refuse(error: Exception) -> None:
        raise error

    with pytest.raises(redis.ConnectionError):
        Patience(5).call_with_retry(calls, refuse)
    assert calls.count == 1


def test_the_number_of_the_failure_is_told_to_those_who_ask_for_it() -> None:
    calls, numbers = Calls(GONE, GONE, None), list[int]()
    Patience(5).call_with_retry(calls, lambda _, number: numbers.append(number), with_failure_count=True)
    assert numbers == [1, 2]


def test_a_cancelled_call_ends_at_once() -> None:
    async def cancelled() -> int:
        calls = Calls(GONE)
        task = asyncio.ensure_future(AsyncPatience(30).call_with_retry(calls.later, calls.close_later))
        while calls.count < 3:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return calls.count

    assert asyncio.run(cancelled()) == 3
