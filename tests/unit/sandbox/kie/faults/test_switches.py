"""Faults that are switched on and off."""

import random
from typing import Any

import pytest

from sandbox.kie.faults.faults import Fault
from sandbox.kie.faults.rules import InvalidFault
from sandbox.kie.faults.switches import Faults


def strikes(faults: Faults, fault: Fault, calls: int, seed: int = 1) -> int:
    rng = random.Random(seed)
    return sum(1 for _ in range(calls) if faults.strikes(fault, rng))


def test_a_probability_strikes_its_share_of_calls() -> None:
    assert 2350 <= strikes(Faults({"create_429": 0.25}), Fault.CREATE_429, 10_000) <= 2650


def test_exactly_the_next_calls_are_struck() -> None:
    faults = Faults({"create_429": {"next": 3}})
    assert strikes(faults, Fault.CREATE_429, 10) == 3
    assert faults.to_json() == {}


def test_after_the_next_calls_the_probability_applies() -> None:
    assert strikes(Faults({"stuck": {"next": 2, "probability": 1.0}}), Fault.STUCK, 5) == 5


def test_a_change_leaves_other_faults_alone() -> None:
    faults = Faults({"create_429": 0.1, "stuck": 1})
    faults.update({"create_429": 0, "html_after": None, "no_urls": 1.0})
    assert set(faults.to_json()) == {"stuck", "no_urls"}


def test_a_bare_number_is_seconds_where_the_fault_takes_them() -> None:
    rule = Faults({"slow_answer": 2.5}).strikes(Fault.SLOW_ANSWER, random.Random(1))
    assert rule is not None
    assert (rule.seconds, rule.probability) == (2.5, 1.0)


class Clock:
    """A clock that the test sets."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_refusal_with_seconds_ends_after_that_time() -> None:
    clock = Clock()
    faults = Faults({"create_455": {"seconds": 3}}, clock)
    clock.now = 102.0
    assert strikes(faults, Fault.CREATE_455, 5) == 5
    assert faults.to_json()["create_455"]["seconds"] == 1.0
    clock.now = 103.0
    assert strikes(faults, Fault.CREATE_455, 5) == 0
    assert faults.to_json() == {}


def test_the_delay_of_a_timed_fault_does_not_end_it() -> None:
    clock = Clock()
    faults = Faults({"slow_answer": 3}, clock)
    clock.now = 200.0
    assert strikes(faults, Fault.SLOW_ANSWER, 5) == 5


def test_a_fault_that_is_switched_on_again_loses_its_old_end() -> None:
    clock = Clock()
    faults = Faults({"create_455": {"seconds": 3}}, clock)
    faults.update({"create_455": 1})
    clock.now = 200.0
    assert strikes(faults, Fault.CREATE_455, 5) == 5


def test_an_object_without_a_probability_always_strikes() -> None:
    assert strikes(Faults({"task_fail": {"variant": "moderation"}}), Fault.TASK_FAIL, 5) == 5


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"create_430": 1}, "create_430: no such fault"),
        ({"create_429": 3}, "create_429: a probability is from 0 to 1"),
        ({"create_429": {"often": 1}}, "create_429: probability, next"),
        ({"create_429": "yes"}, "create_429: a number"),
        ({"stuck": {"next": -1}}, "stuck: next and seconds"),
        ({"task_fail": {"variant": "bad mood"}}, "task_fail: no such variant"),
        ({"create_429": {"variant": "moderation"}}, "create_429: has no variants"),
        ({"create_429": {"next": 1.5}}, "create_429: probability, next and seconds are numbers"),
        ({"create_429": {"seconds": "3"}}, "create_429: probability, next and seconds are numbers"),
        ({"unreachable": 1}, "unreachable: seconds are wanted"),
        ({"unreachable": {"next": 1, "seconds": 1}}, "unreachable: seconds are wanted"),
    ],
)
def test_an_invalid_fault_is_named_and_changes_nothing(rules: dict[str, Any], message: str) -> None:
    faults = Faults()
    with pytest.raises(InvalidFault, match=message):
        faults.update({"stuck": 1, **rules})
    assert faults.to_json() == {}
