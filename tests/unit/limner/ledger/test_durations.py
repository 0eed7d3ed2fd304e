"""Durations of tasks: the forecast, and the effect of a new duration."""

import math
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limner.ledger.durations import BUCKETS, LONGEST, Durations, kind_of
from limner.models import TextToImage

KIND = "ideogram/v3-text-to-image:BALANCED:1"


def learned_from(median: float, sigma: float, jobs: int, start: Durations | None = None) -> Durations:
    random = Random(7)
    durations = start or Durations.unlearned(KIND)
    for _ in range(jobs):
        durations = durations.learned(median * math.exp(random.gauss(0, sigma)))
    return durations


def test_a_kind_is_model_speed_and_number_of_images() -> None:
    request = TextToImage(prompt="a fox", rendering_speed="TURBO", num_images=3)
    assert kind_of(request) == "ideogram/v3-text-to-image:TURBO:3"


@pytest.mark.parametrize(
    ("kind", "median"),
    [("m:TURBO:1", 8), (KIND, 16), ("m:QUALITY:4", 30), ("m", 16)],
)
def test_before_learning_the_median_is_that_of_the_speed(kind: str, median: float) -> None:
    assert Durations.unlearned(kind).median == pytest.approx(median, rel=0.03)


def test_before_learning_some_tasks_are_expected_to_take_minutes() -> None:
    assert 0.005 < Durations.unlearned(KIND).survival(120) < 0.02


def test_a_learned_distribution_is_the_real_one() -> None:
    durations = learned_from(40, 0.3, 600)
    assert durations.median == pytest.approx(40, rel=0.07)
    assert durations.quantile(0.9) == pytest.approx(40 * math.exp(0.3 * 1.2816), rel=0.1)
    assert durations.mean == pytest.approx(40 * math.exp(0.045), rel=0.12)


def test_it_rests_on_the_last_jobs() -> None:
    assert learned_from(16, 0.3, 3000).jobs == pytest.approx(361, rel=0.01)


@pytest.mark.parametrize("factor", [2.0, 0.5])
def test_a_shift_of_the_provider_is_followed_within_twenty_jobs(factor: float) -> None:
    before = learned_from(16, 0.3, 400)
    after = learned_from(16 * factor, 0.3, 20, start=before)
    assert abs(math.log(after.median / (16 * factor))) < 0.2


def test_a_shift_leaves_the_shape() -> None:
    def spread(durations: Durations) -> float:
        return durations.quantile(0.8) / durations.quantile(0.2)

    before = learned_from(16, 0.3, 400)
    assert spread(learned_from(32, 0.3, 30, start=before)) == pytest.approx(spread(before), rel=0.15)


def test_one_very_long_task_hardly_moves_the_level() -> None:
    before = learned_from(16, 0.3, 400)
    assert before.learned(900).level < before.level * 1.08


@pytest.mark.parametrize("seconds", [0, -1, 86_401, math.inf, math.nan])
def test_what_cannot_be_a_duration_is_not_counted(seconds: float) -> None:
    durations = learned_from(16, 0.3, 5)
    assert durations.learned(seconds) == durations


@given(st.lists(st.floats(0.01, 86_400), max_size=40), st.floats(0, 4000), st.floats(0, 4000))
@settings(max_examples=60)
def test_survival_falls_from_one_to_nothing(seconds: list[float], one: float, other: float) -> None:
    durations = Durations.unlearned(KIND)
    for value in seconds:
        durations = durations.learned(value)
    early, late = sorted((one, other))
    assert 1 >= durations.survival(early) >= durations.survival(late) >= 0
    assert durations.survival(0) == 1
    assert durations.survival(1000 * LONGEST) == 0


@given(st.floats(0.001, 0.999))
def test_a_quantile_is_where_survival_is(q: float) -> None:
    durations = learned_from(16, 0.3, 50)
    assert 1 - durations.survival(durations.quantile(q)) == pytest.approx(q, abs=1e-6)


def test_quantiles_have_ends() -> None:
    durations = Durations.unlearned(KIND)
    assert (
        0 < durations.quantile(-1) <= durations.quantile(0) < durations.quantile(1) == durations.quantile(2)
    )


def test_the_remaining_time_counts_from_the_age() -> None:
    durations = learned_from(16, 0.3, 400)
    assert durations.remaining(0) == pytest.approx(durations.median)
    assert 0 < durations.remaining(14) < 6
    assert durations.remaining(10, 0.9) > durations.remaining(10, 0.5)
    assert durations.remaining(1e9) == 0


GARBAGE = [
    {},
    {"level": "nan"},
    {"level": "9e99", "unit": "1", "3": "4"},
    {"level": "what", "unit": "1"},
    {"level": "-inf", "unit": "-1", "0": "x"},
    {b"level": b"\xff", b"\xff": b"1"},
    {"level": None, "unit": [], 7: {}},
]


@pytest.mark.parametrize("stored", GARBAGE)
def test_garbage_counts_as_nothing_learned(stored: dict[object, object]) -> None:
    assert Durations.from_stored(KIND, stored) == Durations.unlearned(KIND)


def test_buckets_that_make_no_sense_are_left_out() -> None:
    fields = {"level": "3", "unit": "2", "30": "8", "31": "-4", "32": "nan", "33": "", "999": "5", "x": "1"}
    durations = Durations.from_stored(KIND, fields)
    assert durations.level == pytest.approx(math.exp(3))
    assert durations.weights == tuple(4.0 if bucket == 30 else 0.0 for bucket in range(BUCKETS))


def test_numbers_at_the_edge_of_arithmetic_leave_a_forecast() -> None:
    fields = {"level": "3", "unit": "1e-300", **{str(bucket): "1e308" for bucket in range(BUCKETS)}}
    durations = Durations.from_stored(KIND, fields)
    assert 0 <= durations.survival(16) <= 1
    assert math.isfinite(durations.mean)
