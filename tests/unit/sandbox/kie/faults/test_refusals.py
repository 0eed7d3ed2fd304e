"""The errors on demand."""

from sandbox.kie.faults.faults import Fault
from sandbox.kie.faults.refusals import NO_CREDITS, ON_DEMAND, on_demand
from sandbox.kie.faults.switches import Strike


def test_a_refusal_in_other_words_has_those_of_its_variant() -> None:
    assert on_demand(Strike(Fault.REFUSAL_WORDS, "policy_403")).code == 403
    assert on_demand(Strike(Fault.CREATE_402, "")) is NO_CREDITS


def test_a_fault_that_names_a_code_answers_with_it() -> None:
    coded = {fault: fault.split("_")[1] for fault in ON_DEMAND if fault.startswith("create_")}
    assert {fault: str(ON_DEMAND[fault].code) for fault in coded} == coded


def test_want_of_credits_has_the_same_words_under_either_code() -> None:
    assert {each.code for each in ON_DEMAND.values() if each.text == NO_CREDITS.text} == {402, 500}
