"""Answers in the dialect that the options ask for."""

import json
import random

import pytest

from sandbox.kie.api.envelope import BROKEN_ANSWERS, Envelope
from sandbox.kie.faults.connections import Broken
from sandbox.kie.faults.faults import Fault
from sandbox.kie.faults.refusals import Refusal
from sandbox.kie.options import NoData, ProviderOptions

IDS = {"taskId": "t1", "recordId": "t1"}
RNG = random.Random(5)


def envelope(**options: object) -> Envelope:
    return Envelope(ProviderOptions(**options))  # type: ignore[arg-type]


def test_an_error_comes_in_the_body_of_an_http_200() -> None:
    answer = envelope().refusal(Refusal(429, "slow"), RNG)
    assert answer.status_code == 200
    assert json.loads(bytes(answer.body)) == {"code": 429, "msg": "slow", "data": None}


def test_the_dialect_of_errors_is_that_of_the_options() -> None:
    answer = envelope(message_key="message", no_data=NoData.ABSENT).refusal(Refusal(429, "slow"), RNG)
    assert json.loads(bytes(answer.body)) == {"code": 429, "message": "slow"}


@pytest.mark.parametrize(("code", "status"), [(429, 429), (505, 505), (777, 500)])
def test_an_error_with_a_real_status_has_one_that_http_knows(code: int, status: int) -> None:
    assert envelope(http_status=1.0).refusal(Refusal(code, "no"), RNG).status_code == status


def test_no_answer_promises_when_to_try_again() -> None:
    headers = envelope().refusal(Refusal(429, "slow"), RNG).headers
    assert headers["content-type"] == "application/json;charset=UTF-8"
    assert "retry-after" not in headers


def test_no_broken_answer_shows_the_task_s_id() -> None:
    for _, respond in BROKEN_ANSWERS.values():
        answer = respond(envelope(), IDS, RNG)
        assert b'"t1"' not in bytes(answer.body)


def test_a_truncated_answer_is_half_of_a_good_one() -> None:
    _, respond = BROKEN_ANSWERS[Fault.TRUNCATED_JSON]
    whole = envelope().success(IDS)
    body = bytes(respond(envelope(), IDS, RNG).body)
    assert whole.startswith(body)
    assert len(body) == len(whole) // 2


def test_only_a_drop_and_a_reset_end_the_connection() -> None:
    broken = {
        fault
        for fault, (_, respond) in BROKEN_ANSWERS.items()
        if isinstance(respond(envelope(), IDS, RNG), Broken)
    }
    assert broken == {Fault.ACCEPT_THEN_DROP, Fault.RESET_MID_BODY}
