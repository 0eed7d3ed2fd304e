"""The back-off with full jitter."""

from random import Random

import pytest

from worker.limits.backoff import Backoff


@pytest.mark.parametrize(("refusals", "bound"), [(1, 2), (2, 4), (3, 8), (5, 32), (6, 60), (500, 60)])
def test_the_delay_is_uniform_below_a_bound_that_doubles(refusals: int, bound: float) -> None:
    random = Random(1)
    delays = [Backoff(2.0, 60.0).delay(refusals, random) for _ in range(4000)]
    assert 0 <= min(delays) < 0.02 * bound
    assert 0.98 * bound < max(delays) <= bound
    assert sum(delays) / len(delays) == pytest.approx(bound / 2, rel=0.05)
