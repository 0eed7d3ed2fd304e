"""Answers to recordInfo: tolerant types, failures, no record, unreadable (contract 2.1, 2.3, 2.4, 2.5)."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider import (
    Cause,
    Done,
    FailCause,
    Failed,
    NoRecord,
    Pending,
    RecordAnswer,
    Unreadable,
    Why,
    read_credits,
    read_record,
)
from tests.unit.provider.test_answers import BODY, HEADERS, JSON, NO_ENVELOPES, STATUS

URL = "https://tempfile.aiquickdraw.com/r/9c1e_0.png"


def record(code: Any = 200, message: str = "success", **data: Any) -> bytes:
    return json.dumps({"code": code, "msg": message, "data": {"taskId": "t", **data}}).encode()


def read(status: int, headers: dict[str, str], body: bytes, task_id: str = "t") -> RecordAnswer:
    return read_record(status, headers, body, task_id=task_id, api_url="https://api.kie.ai")


@pytest.mark.parametrize("status", [200, 201])
def test_a_record_of_the_task_is_read(status: int) -> None:
    assert read(status, {}, record(state="waiting")) == Pending("waiting", known_state=True)


def test_a_record_that_is_json_in_a_string_is_read() -> None:
    body = json.dumps({"code": 200, "data": json.dumps({"taskId": "t", "state": "waiting"})}).encode()
    assert read(200, {}, body) == Pending("waiting", known_state=True)


@pytest.mark.parametrize("code", [200, 501])
@pytest.mark.parametrize("state", ["success", "fail", "waiting", None])
def test_the_record_of_another_task_says_nothing(state: str | None, code: int) -> None:
    answer = read(200, {}, record(code, "m", state=state, resultJson={"resultUrls": [URL]}), "u")
    assert answer == Unreadable(Why.OTHER_TASK, code, 200, "m")


@pytest.mark.parametrize("data", [{}, {"state": None}, {"state": ""}, {"state": 3}])
def test_a_record_without_a_state_is_unreadable(data: dict[str, Any]) -> None:
    answer = read(200, {}, record(**data))
    assert answer == Unreadable(Why.BAD_DATA, 200, 200, "success")


def test_an_envelope_with_code_501_is_a_failed_task() -> None:
    with_data = read(200, {}, record(501, "Playground task failed.", state="fail", failCode="500"))
    assert with_data == Failed(FailCause.PROVIDER_FAULT, 500, "Playground task failed.", transient=True)
    bare = read(501, {}, b'{"code":501,"msg":"Generation failed","data":null}')
    assert bare == Failed(FailCause.PROVIDER_FAULT, 501, "Generation failed", transient=True)


@pytest.mark.parametrize("as_status", [False, True])
@pytest.mark.parametrize("data", [{"data": None}, {}])
@pytest.mark.parametrize(
    ("code", "message"),
    [(422, "recordInfo is null"), (422, "Record does not exist"), (404, "Task not found")],
)
def test_a_missing_record_is_no_record(
    code: int, message: str, data: dict[str, None], as_status: bool
) -> None:
    body = json.dumps({"code": code, "message": message, **data}).encode()
    assert read(code if as_status else 200, {}, body) == NoRecord(code, message)


def test_a_limit_under_a_code_of_no_record_is_a_refused_read() -> None:
    answer = read(200, {}, b'{"code":422,"msg":"rate limit","data":null}')
    assert answer == Unreadable(Why.REFUSED, 422, 200, "rate limit", Cause.RATE_LIMITED)


def test_a_success_with_null_data_is_no_record() -> None:
    assert read(200, {}, b'{"code":200,"msg":"success","data":null}') == NoRecord(200, "success")


@pytest.mark.parametrize("as_status", [False, True])
@pytest.mark.parametrize(
    ("code", "cause"),
    [
        (400, Cause.BAD_REQUEST),
        (401, Cause.UNAUTHORIZED),
        (402, Cause.NO_CREDITS),
        (403, Cause.UNAUTHORIZED),
        (429, Cause.RATE_LIMITED),
        (430, Cause.RATE_LIMITED),
        (433, Cause.KEY_CAPPED),
        (455, Cause.MAINTENANCE),
        (500, Cause.SERVER_FAULT),
        (505, Cause.DISABLED),
    ],
)
def test_a_refused_read_is_unreadable_with_its_cause(code: int, cause: Cause, as_status: bool) -> None:
    status = code if as_status else 200
    answer = read(status, {"retry-after": "3"}, json.dumps({"code": code, "msg": "no"}).encode())
    assert answer == Unreadable(Why.REFUSED, code, status, "no", cause, 3.0)


@pytest.mark.parametrize("code", [408, 502, 999])
def test_a_read_with_an_unknown_code_is_unreadable(code: int) -> None:
    answer = read(200, {}, json.dumps({"code": code, "msg": "odd"}).encode())
    assert answer == Unreadable(Why.UNKNOWN_CODE, code, 200, "odd")


@pytest.mark.parametrize("status", [200, 404, 422, 500, 502, 524])
@pytest.mark.parametrize("raw", NO_ENVELOPES)
def test_a_read_that_is_not_a_json_object_is_unreadable(raw: bytes, status: int) -> None:
    answer = read(status, {}, raw)
    assert isinstance(answer, Unreadable)
    assert (answer.why, answer.cause) == (Why.NOT_JSON, None)


def test_a_limiter_without_an_envelope_refuses_the_read() -> None:
    answer = read(429, {}, b"<html>Slow down")
    assert answer == Unreadable(Why.REFUSED, None, 429, "Slow down", Cause.RATE_LIMITED)


def test_a_redirected_read_names_the_target() -> None:
    answer = read(302, {"location": "https://a:b@h/login?x"}, b"")
    assert answer == Unreadable(Why.NOT_JSON, None, 302, "redirect to https://h/login")


@pytest.mark.parametrize("data", ["text", [], 7, False])
def test_data_of_the_wrong_type_is_unreadable(data: Any) -> None:
    answer = read(200, {}, json.dumps({"code": 200, "data": data}).encode())
    assert isinstance(answer, Unreadable)
    assert answer.why is Why.BAD_DATA


def test_a_finished_task_under_an_error_status_is_unreadable() -> None:
    answer = read(502, {}, record(state="success", resultJson={"resultUrls": [URL]}))
    assert isinstance(answer, Unreadable)
    assert answer.why is Why.CONTRADICTORY


@pytest.mark.parametrize(
    "sent",
    ["5916.25", '"5916.25"', "5916.250", '"5,916.25"', '{"credits":5916.25}', '{"balance":"5 916.25"}'],
)
def test_a_balance_is_a_decimal(sent: str) -> None:
    assert read_credits(200, {}, b'{"code":200,"data":%s}' % sent.encode()) == Decimal("5916.25")


@pytest.mark.parametrize(
    "raw",
    [
        b'{"code":401,"msg":"no"}',
        b'{"code":200,"data":null}',
        b'{"code":200,"data":{"left":3}}',
        b'{"code":200,"data":"many"}',
        b"<html>",
    ],
)
def test_no_balance_is_unreadable(raw: bytes) -> None:
    assert isinstance(read_credits(200, {}, raw), Unreadable)


FIELDS = (
    *("resultJson", "response", "resultUrls", "images", "failCode", "failMsg", "successFlag"),
    *("creditsConsumed", "createTime", "completeTime", "taskId", "param", "message"),
)
SHAPES = (
    JSON
    | st.fixed_dictionaries(
        {"resultUrls": st.lists(st.text() | st.sampled_from([URL, "/a.png", "//h.io/b"]))}
    )
    | st.fixed_dictionaries({"images": st.lists(st.fixed_dictionaries({"url": st.just(URL) | JSON}))})
    | st.integers(1_600_000_000, 1_900_000_000)
    | st.sampled_from([URL, "2026-01-01T00:00:00Z", "t", "9" * 400])
)
STATES = ["waiting", "success", "done", "fail", "timed_out", "dreaming"]
RECORD = st.fixed_dictionaries(
    {
        "code": st.sampled_from([200, 501, "200", 422]),
        "data": st.fixed_dictionaries(
            {"state": st.sampled_from(STATES) | st.text()},
            optional=dict.fromkeys(FIELDS, SHAPES | SHAPES.map(json.dumps)),
        ),
    },
    optional={"msg": st.sampled_from(["unsafe", "rate limit"]) | JSON},
).map(lambda value: json.dumps(value).encode())


@given(STATUS, HEADERS, BODY | RECORD)
def test_no_answer_raises_and_all_values_are_within_limits(
    status: int, headers: dict[str, str], raw: bytes
) -> None:
    match read(status, headers, raw):
        case Done() as done:
            assert len(done.urls) == len(set(done.urls)) <= 16
            assert all(url.lower().startswith("http") and len(url) <= 8192 for url in done.urls)
            assert 0 <= done.relative <= len(done.urls)
            assert done.credits is None or 0 <= done.credits <= 100_000
            assert (done.created_ms or 0) <= (done.completed_ms or 10**13)
            assert len(done.withheld) <= 500
            assert done.withheld.isprintable()
            assert len(done.raw) <= 4000
            assert done.raw.isprintable()
        case Pending(state, _):
            assert state.isprintable()
            assert 0 < len(state) <= 64
        case Failed(_, _, message) | NoRecord(_, message) | Unreadable(message=message):
            assert message.isprintable()
            assert len(message) <= 500
    read_credits(status, headers, raw)
