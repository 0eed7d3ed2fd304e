"""The groups of faults."""

from sandbox.kie.faults.faults import CALLBACK_FATES, CREATE_REFUSED, FATES, Fault
from sandbox.kie.faults.refusals import ON_DEMAND


def test_every_refusal_on_demand_has_a_code_and_a_text() -> None:
    assert set(CREATE_REFUSED) - set(ON_DEMAND) == {Fault.REFUSAL_WORDS, Fault.ECHO_SECRET}


def test_the_groups_of_fates_have_the_right_members() -> None:
    assert (FATES[0], FATES[-1]) == (Fault.TASK_FAIL, Fault.FLAG_ONLY)
    assert all(fault.startswith("callback_") for fault in CALLBACK_FATES)
