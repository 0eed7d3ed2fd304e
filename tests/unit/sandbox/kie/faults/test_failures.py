"""The ways in which a task fails."""

import pytest

from sandbox.kie.faults.failures import FAILURES
from sandbox.kie.faults.faults import Fault
from sandbox.kie.faults.switches import Faults


def test_codes_are_numbers_in_some_and_texts_in_others() -> None:
    assert {type(code) for code, _ in FAILURES.values()} == {int, str}


@pytest.mark.parametrize("variant", FAILURES)
def test_each_variant_can_be_switched_on(variant: str) -> None:
    faults = Faults({"task_fail": {"variant": variant}})
    assert faults.to_json()[Fault.TASK_FAIL]["variant"] == variant
