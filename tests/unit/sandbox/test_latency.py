import random
import statistics

import pytest

from sandbox.latency import MEDIAN_SECONDS, DurationProfile


@pytest.mark.parametrize("speed", MEDIAN_SECONDS)
def test_the_median_is_that_of_the_rendering_speed(speed: str) -> None:
    rng = random.Random(1)
    drawn = [DurationProfile().seconds(speed, rng) for _ in range(4000)]
    assert statistics.median(drawn) == pytest.approx(MEDIAN_SECONDS[speed], rel=0.05)


def test_one_in_a_hundred_takes_minutes() -> None:
    rng = random.Random(2)
    drawn = [DurationProfile().seconds("TURBO", rng) for _ in range(10_000)]
    slow = [seconds for seconds in drawn if seconds >= 120]
    assert 60 <= len(slow) <= 140
    assert max(slow) <= 600


def test_speed_divides_everything() -> None:
    usual = DurationProfile(tail=0.5).seconds("QUALITY", random.Random(3))
    assert DurationProfile(tail=0.5, speed=20).seconds("QUALITY", random.Random(3)) == pytest.approx(
        usual / 20
    )


def test_a_fixed_duration_leaves_later_draws_alone() -> None:
    fixed, usual = random.Random(4), random.Random(4)
    assert DurationProfile(fixed=2.0).seconds("TURBO", fixed) == 2.0
    DurationProfile().seconds("TURBO", usual)
    assert fixed.random() == usual.random()
