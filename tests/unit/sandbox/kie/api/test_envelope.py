"""Answers in the dialect that the options ask for."""

import json
import random

import pytest

from sandbox.kie.api.envelope import Envelope
from sandbox.kie.faults.hints import Hint
from sandbox.kie.faults.refusals import Refusal
from sandbox.kie.options import NoData, ProviderOptions

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


def test_a_hint_is_in_the_headers_the_fields_and_the_text() -> None:
    answer = envelope().refusal(
        Refusal(429, "slow"), RNG, Hint({"Retry-After": "3"}, {"retry_after": 3}, " now")
    )
    assert answer.headers["retry-after"] == "3"
    assert json.loads(bytes(answer.body)) == {"code": 429, "msg": "slow now", "data": None, "retry_after": 3}
