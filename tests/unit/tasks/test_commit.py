"""Patience with a Redis that is away."""

import pytest

from limner.errors import StoreUnavailable
from tasks.commit import patiently


class Away:
    """A transition that works from the n-th call on, and the clock that it is called by."""

    def __init__(self, calls_until_back: int) -> None:
        self.calls = 0
        self.now = 0.0
        self._until = calls_until_back

    def __call__(self) -> str:
        self.calls += 1
        if self.calls < self._until:
            raise StoreUnavailable("away")
        return "done"

    def sleep(self, seconds: float) -> None:
        self.now += seconds


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
