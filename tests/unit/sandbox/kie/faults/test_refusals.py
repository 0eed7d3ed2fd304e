"""The errors on demand."""

from sandbox.kie.faults.faults import CREATE_REFUSED
from sandbox.kie.faults.refusals import NO_CREDITS, ON_DEMAND


def test_each_fault_that_refuses_has_its_error() -> None:
    assert set(ON_DEMAND) == set(CREATE_REFUSED)


def test_a_fault_that_names_a_code_answers_with_it() -> None:
    coded = {fault: fault.split("_")[1] for fault in ON_DEMAND if fault.startswith("create_")}
    assert {fault: str(ON_DEMAND[fault].code) for fault in coded} == coded


def test_want_of_credits_has_the_same_words_under_either_code() -> None:
    assert {each.code for each in ON_DEMAND.values() if each.text == NO_CREDITS.text} == {402, 500}
