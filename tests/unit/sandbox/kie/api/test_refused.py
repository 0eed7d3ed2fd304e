"""Refusals and pages with their hints."""

import json
import random

import pytest

from sandbox.kie.api.envelope import Envelope
from sandbox.kie.api.refused import RefusedAnswers
from sandbox.kie.faults.connections import Unusual
from sandbox.kie.faults.echoes import ECHOES
from sandbox.kie.faults.refusals import SERVER_ERROR, TOO_OFTEN, Refusal
from sandbox.kie.faults.switches import Faults
from sandbox.kie.options import ProviderOptions

RNG = random.Random(5)
REFUSED = RefusedAnswers(Envelope(ProviderOptions()), lambda: 1_767_225_600.0)


@pytest.mark.parametrize(("refusal", "hinted"), [(TOO_OFTEN, True), (SERVER_ERROR, False)])
def test_only_refusals_that_ask_to_wait_have_the_hint(refusal: Refusal, hinted: bool) -> None:
    outcome, answer = REFUSED.answer(refusal, Faults({"retry_after": {"variant": "date"}}), RNG)
    assert outcome == str(refusal.code)
    assert answer.headers.get("retry-after") == ("Thu, 01 Jan 2026 00:00:00 GMT" if hinted else None)


def test_without_the_fault_there_is_no_hint() -> None:
    _, answer = REFUSED.answer(TOO_OFTEN, Faults(), RNG)
    assert json.loads(bytes(answer.body)) == {"code": 429, "msg": TOO_OFTEN.text, "data": None}
    assert "retry-after" not in REFUSED.page("503", Faults(), RNG).headers


def test_an_echo_is_counted_by_the_name_of_its_fault() -> None:
    outcome, answer = REFUSED.answer(ECHOES["key_utf16"]("k", ""), Faults(), RNG)
    assert (outcome, answer.headers["content-type"]) == ("echo_secret", "application/json;charset=UTF-16")
    assert isinstance(REFUSED.answer(ECHOES["key_reason"]("k", ""), Faults(), RNG)[1], Unusual)
