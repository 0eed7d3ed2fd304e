"""Answers that hide the id of an accepted task, or name it oddly."""

import random

import pytest
from starlette.responses import Response

from sandbox.kie.api.broken_answers import BROKEN_ANSWERS, broken_answer
from sandbox.kie.api.envelope import Envelope
from sandbox.kie.faults.connections import Broken
from sandbox.kie.faults.faults import Fault
from sandbox.kie.faults.odd_envelopes import ODD_ENVELOPES
from sandbox.kie.faults.switches import Strike
from sandbox.kie.faults.variants import variant_of
from sandbox.kie.options import ProviderOptions

ENVELOPE = Envelope(ProviderOptions())


def answer(fault: Fault, variant: str = "") -> Response:
    strike = Strike(fault, variant_of(fault, variant))
    return broken_answer(strike, ENVELOPE, "t1", random.Random(5))[1]


@pytest.mark.parametrize("fault", [fault for fault in BROKEN_ANSWERS if fault != Fault.ODD_ENVELOPE])
def test_a_broken_answer_does_not_show_the_task_s_id(fault: Fault) -> None:
    assert b'"t1"' not in bytes(answer(fault).body)


@pytest.mark.parametrize("variant", ODD_ENVELOPES)
def test_an_odd_answer_shows_it(variant: str) -> None:
    assert b"t1" in bytes(answer(Fault.ODD_ENVELOPE, variant).body).replace(b"\0", b"")


def test_a_truncated_answer_is_half_of_a_good_one() -> None:
    whole = ENVELOPE.success({"taskId": "t1", "recordId": "t1"})
    body = bytes(answer(Fault.TRUNCATED_JSON).body)
    assert whole.startswith(body)
    assert len(body) == len(whole) // 2


def test_only_a_drop_and_a_reset_end_the_connection() -> None:
    broken = {fault for fault in BROKEN_ANSWERS if isinstance(answer(fault), Broken)}
    assert broken == {Fault.ACCEPT_THEN_DROP, Fault.RESET_MID_BODY}
