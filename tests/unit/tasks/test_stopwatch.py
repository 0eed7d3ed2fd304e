"""The stopwatch believes the clock that shows more time."""

import pytest

from tasks.stopwatch import Stopwatch


@pytest.mark.parametrize(
    ("monotonic", "wall", "elapsed"),
    [
        (3.0, 3.0, 3.0),
        # A virtual machine was suspended, and its monotonic clock with it.
        (3.0, 60.0, 60.0),
        # Somebody has set the other clock back.
        (3.0, -60.0, 3.0),
    ],
)
def test_the_larger_of_two_times_counts(monotonic: float, wall: float, elapsed: float) -> None:
    monotonics, walls = iter([100.0, 100.0 + monotonic]), iter([9000.0, 9000.0 + wall])
    assert Stopwatch(lambda: next(monotonics), lambda: next(walls)).elapsed() == elapsed
