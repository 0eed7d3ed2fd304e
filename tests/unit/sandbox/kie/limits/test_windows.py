import pytest

from sandbox.kie.limits.windows import (
    FixedWindow,
    Limiter,
    SlidingWindow,
    TokenBucket,
    Unlimited,
    Window,
    limiter,
)


def accepted(counts: Limiter, times: list[float]) -> list[float]:
    taken = []
    for now in times:
        if counts.allows(now):
            counts.take(now)
            taken.append(now)
    return taken


def test_a_sliding_window_reopens_when_its_oldest_call_expires() -> None:
    times = [0.0, 4.0, 5.0, 9.9, 10.0, 13.9, 14.0]
    assert accepted(SlidingWindow(2, 10.0), times) == [0.0, 4.0, 10.0, 14.0]


def test_a_fixed_window_allows_two_full_windows_in_a_row() -> None:
    times = [9.0, 9.5, 9.9, 10.0, 10.1, 10.2]
    assert accepted(FixedWindow(2, 10.0), times) == [9.0, 9.5, 10.0, 10.1]


def test_a_bucket_refills_evenly() -> None:
    times = [0.0, 0.1, 0.2, 5.2, 5.3]
    assert accepted(TokenBucket(2, 10.0), times) == [0.0, 0.1, 5.2]


@pytest.mark.parametrize("kind", [Window.SLIDING, Window.FIXED, Window.BUCKET])
def test_refused_calls_are_not_counted(kind: Window) -> None:
    counts = limiter(kind, 1, 10.0)
    assert accepted(counts, [0.0, *(tenth / 10 for tenth in range(1, 100)), 10.0]) == [0.0, 10.0]


@pytest.mark.parametrize(("kind", "calls"), [(Window.OFF, 20), (Window.SLIDING, 0)])
def test_a_limit_can_be_switched_off(kind: Window, calls: int) -> None:
    assert isinstance(limiter(kind, calls, 10.0), Unlimited)
