import random
import statistics

import pytest

from sandbox.kie.tasks.latency import MEDIAN_SECONDS, DurationProfile, log_normal


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


def test_a_configured_median_applies_to_every_rendering_speed() -> None:
    rng = random.Random(5)
    profile = DurationProfile(median=16.0, sigma=0.45, tail=0.0, speed=10.0)
    drawn = [profile.seconds(speed, rng) for _ in range(2000) for speed in MEDIAN_SECONDS]
    assert statistics.median(drawn) == pytest.approx(1.6, rel=0.05)


def test_the_tail_has_the_configured_durations() -> None:
    rng = random.Random(6)
    drawn = [DurationProfile(tail=1.0, tail_seconds=(200.0, 300.0)).seconds("TURBO", rng) for _ in range(500)]
    assert 200 <= min(drawn) < 205
    assert 295 < max(drawn) <= 300


def test_a_log_normal_without_a_spread_is_its_median() -> None:
    assert log_normal(0.6, 0.0, random.Random(7)) == pytest.approx(0.6)
