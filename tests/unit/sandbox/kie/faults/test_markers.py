"""Markers in prompts."""

import random

import pytest

from sandbox.kie.faults.faults import Fault
from sandbox.kie.faults.markers import Markers, marked
from sandbox.kie.faults.rules import InvalidFault, Rule
from sandbox.kie.faults.switches import Faults

RNG = random.Random(1)
GLOBAL = Faults({"create_455": 1, "stuck": 1})


class Clock:
    """A clock that the test sets."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def strikes(markers: Markers, prompt: str, fault: Fault, calls: int) -> int:
    return sum(1 for _ in range(calls) if markers.source(prompt, GLOBAL).strikes(fault, RNG))


@pytest.mark.parametrize(
    ("prompt", "rules"),
    [
        ("a kite", {}),
        ("a kite [fault:create_500]", {Fault.CREATE_500: Rule(1.0)}),
        ("[fault:html_before=525] a kite", {Fault.HTML_BEFORE: Rule(1.0, variant="525")}),
        ("[fault:create_500*2]", {Fault.CREATE_500: Rule(next=2)}),
        ("[fault:slow_answer@2.5]", {Fault.SLOW_ANSWER: Rule(1.0, seconds=2.5)}),
        (
            "[fault:html_before=525@25*3][fault:callback_lost]",
            {
                Fault.HTML_BEFORE: Rule(next=3, seconds=25.0, variant="525"),
                Fault.CALLBACK_LOST: Rule(1.0),
            },
        ),
    ],
)
def test_a_prompt_names_its_faults(prompt: str, rules: dict[Fault, Rule]) -> None:
    assert marked(prompt) == rules


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("[fault:create_430]", "create_430: no such fault"),
        ("[fault:html_before=999]", "html_before: no such variant"),
        ("[fault:create_500=moderation]", "create_500: has no variants"),
        ("[fault:create_500", r"\[fault:create_500: a marker is"),
        ("[fault:]", r"\[fault:\]: a marker is"),
        ("[fault:create_500*]", "a marker is"),
        ("[fault:unreachable@5]", "unreachable: concerns no prompt"),
        ("[fault:slow_answer]", "slow_answer: takes seconds"),
    ],
)
def test_a_marker_that_is_not_understood_is_named(prompt: str, message: str) -> None:
    with pytest.raises(InvalidFault, match=message):
        Markers(Clock()).source(prompt, GLOBAL)


def test_a_prompt_without_a_marker_meets_the_faults_of_everybody() -> None:
    assert Markers(Clock()).source("a kite", GLOBAL) is GLOBAL
    assert Markers(Clock()).source(None, GLOBAL) is GLOBAL


def test_a_prompt_with_a_marker_meets_no_other_fault() -> None:
    source = Markers(Clock()).source("[fault:create_500*1]", GLOBAL)
    assert source.draw((Fault.CREATE_455, Fault.CREATE_500, Fault.STUCK), RNG) == {
        Fault.CREATE_500: Rule(next=1)
    }
    assert source.first((Fault.CREATE_455, Fault.CREATE_500), RNG) is None


def test_a_number_counts_the_calls_with_the_same_text() -> None:
    markers = Markers(Clock())
    assert strikes(markers, "[fault:create_500*2] a kite", Fault.CREATE_500, 5) == 2
    assert strikes(markers, "[fault:create_500*2] a kite", Fault.CREATE_500, 5) == 0
    assert strikes(markers, "[fault:create_500*2] another", Fault.CREATE_500, 5) == 2


def test_seconds_count_from_the_first_call_with_the_same_text() -> None:
    clock = Clock()
    markers = Markers(clock)
    assert strikes(markers, "[fault:create_455@3]", Fault.CREATE_455, 2) == 2
    clock.now = 102.9
    assert strikes(markers, "[fault:create_455@3]", Fault.CREATE_455, 2) == 2
    clock.now = 103.0
    assert strikes(markers, "[fault:create_455@3]", Fault.CREATE_455, 2) == 0


def test_the_delay_of_a_timed_fault_does_not_end_it() -> None:
    clock = Clock()
    markers = Markers(clock)
    assert strikes(markers, "[fault:slow_answer@3]", Fault.SLOW_ANSWER, 1) == 1
    clock.now = 200.0
    assert strikes(markers, "[fault:slow_answer@3]", Fault.SLOW_ANSWER, 1) == 1
