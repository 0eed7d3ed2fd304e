"""Answers to createTask: every row of the table (contract 1.4), and answers outside it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner import errors
from provider import Accepted, Cause, Disposition, Refused, Unknown, Why, read_create

TASK = "3f0c9a5be1d24772a86b1d0e5c94f1aa"

ROWS = [
    (400, "taskId is blank", Cause.BAD_REQUEST),
    (401, "You do not have access permissions", Cause.UNAUTHORIZED),
    (402, "Credits insufficient : top up", Cause.NO_CREDITS),
    (402, "apiKey has exceeded the daily limit", Cause.KEY_CAPPED),
    (403, "Forbidden", Cause.UNAUTHORIZED),
    (403, "Your prompt violates our content policy", Cause.MODERATION),
    (400, "Insufficient credits, please top up", Cause.NO_CREDITS),
    (400, "The prompt was flagged by our safety system", Cause.MODERATION),
    (404, "Not found", Cause.GATEWAY),
    (405, "Method not allowed", Cause.BAD_REQUEST),
    (413, "Prompt too long", Cause.BAD_REQUEST),
    (422, "The model name you specified is not supported.", Cause.BAD_REQUEST),
    (422, "请求频率过高", Cause.RATE_LIMITED),
    (429, "Too many tasks running", Cause.TOO_MANY_RUNNING),
    (429, "moderation queue is full", Cause.RATE_LIMITED),
    (429, "Your call frequency is too high. Please try again later.", Cause.RATE_LIMITED),
    (430, "Too frequent", Cause.RATE_LIMITED),
    (433, "The points used by apiKey have exceeded the daily limit", Cause.KEY_CAPPED),
    (455, "The server is currently being maintained", Cause.MAINTENANCE),
    (500, "This field is required", Cause.BAD_REQUEST),
    (500, "value is not in the Range Of Allowed Options", Cause.BAD_REQUEST),
    (500, "must be within the specified range", Cause.BAD_REQUEST),
    (500, "The text length cannot exceed 5000", Cause.BAD_REQUEST),
    (500, "CREDITS INSUFFICIENT", Cause.NO_CREDITS),
    (500, "Your balance isn't enough", Cause.NO_CREDITS),
    (500, "This interface is temporarily paused.", Cause.DISABLED),
    (500, "Server exception, please try again later", Cause.SERVER_FAULT),
    (500, "Internal Error", Cause.SERVER_FAULT),
    (500, "The server is under moderate load", Cause.SERVER_FAULT),
    (500, "余额不足,请充值", Cause.NO_CREDITS),
    (500, "Too many requests", Cause.RATE_LIMITED),
    (500, "words that nobody has seen", Cause.SERVER_FAULT),
    (501, "Generation failed", Cause.SERVER_FAULT),
    (505, "Feature disabled", Cause.DISABLED),
    (777, "Rate limit reached", Cause.RATE_LIMITED),
]

POLICY = [
    (Cause.RATE_LIMITED, Disposition.STOP, errors.AttemptsExhausted),
    (Cause.MAINTENANCE, Disposition.STOP, errors.AttemptsExhausted),
    (Cause.SERVER_FAULT, Disposition.LATER, errors.AttemptsExhausted),
    (Cause.TOO_MANY_RUNNING, Disposition.STOP, errors.AttemptsExhausted),
    (Cause.NOT_CONNECTED, Disposition.AGAIN, errors.AttemptsExhausted),
    (Cause.NOT_SENT, Disposition.AGAIN, errors.AttemptsExhausted),
    (Cause.GATEWAY, Disposition.AGAIN, errors.AttemptsExhausted),
    (Cause.MODERATION, Disposition.NEVER, errors.ModerationRefused),
    (Cause.NO_CREDITS, Disposition.STOP, errors.InsufficientCredits),
    (Cause.KEY_CAPPED, Disposition.STOP, errors.InsufficientCredits),
    (Cause.UNAUTHORIZED, Disposition.STOP, errors.Unauthorized),
    (Cause.BAD_REQUEST, Disposition.NEVER, errors.RequestRejected),
    (Cause.DISABLED, Disposition.NEVER, errors.FeatureDisabled),
]


def body(code: Any, message: str = "success", **rest: Any) -> bytes:
    return json.dumps({"code": code, "msg": message, **rest}).encode()


@pytest.mark.parametrize(("cause", "disposition", "error"), POLICY)
def test_a_cause_has_a_disposition_and_an_error(
    cause: Cause, disposition: Disposition, error: type[errors.JobFailed]
) -> None:
    assert (cause.disposition, cause.error) == (disposition, error)
    assert Cause(str(cause)) is cause


def test_every_cause_is_in_the_table_above() -> None:
    assert {row[0] for row in POLICY} == set(Cause)


@pytest.mark.parametrize("data", [{}, {"data": None}, {"data": {}}, {"data": "text"}, {"data": [1]}])
@pytest.mark.parametrize("key", ["msg", "message"])
@pytest.mark.parametrize("as_status", [False, True])
@pytest.mark.parametrize(("code", "message", "cause"), ROWS)
def test_a_code_means_the_same_in_the_body_and_in_the_status(
    code: int, message: str, cause: Cause, as_status: bool, key: str, data: dict[str, Any]
) -> None:
    status = code if as_status else 200
    answer = read_create(status, {}, json.dumps({"code": code, key: message, **data}).encode())
    assert answer == Refused(cause, code, status, message)


@pytest.mark.parametrize("code", [200, "200", 200.0])
@pytest.mark.parametrize("status", [200, 201])
def test_a_task_id_under_the_code_200_is_accepted(status: int, code: Any) -> None:
    assert read_create(status, {}, body(code, data={"taskId": TASK, "recordId": TASK})) == Accepted(TASK)


def test_a_task_id_with_http_200_and_no_code_is_accepted() -> None:
    assert read_create(200, {}, json.dumps({"data": {"taskId": TASK}}).encode()) == Accepted(TASK)


@pytest.mark.parametrize("task_id", ["task_ideogram_1765180579300", TASK, "x" * 256, f" {TASK}\n"])
def test_a_task_id_can_have_any_form(task_id: str) -> None:
    assert read_create(200, {}, body(200, data={"taskId": task_id})) == Accepted(task_id.strip())


@pytest.mark.parametrize(
    "task_id", ["", "  ", None, 17, True, ["a"], {"id": "a"}, "a b", "a\nb", "a\x00", "\ud800", "x" * 257]
)
def test_success_without_a_usable_task_id_is_unknown(task_id: Any) -> None:
    answer = read_create(200, {}, body(200, data={"taskId": task_id}))
    assert answer == Unknown(Why.NO_TASK_ID, 200, 200, "success")


@pytest.mark.parametrize("code", [0, 1, 100, 201, 302, 408, 502, 503, 524, 999, -1, 10**30, 500.5])
def test_an_unknown_code_is_unknown(code: float) -> None:
    answer = read_create(200, {}, body(code, "odd"))
    assert isinstance(answer, Unknown)
    assert answer.why is Why.UNKNOWN_CODE


@pytest.mark.parametrize("status", [400, 429, 500, 502])
def test_the_code_200_under_an_error_status_is_unknown(status: int) -> None:
    answer = read_create(status, {}, body(200, data={"taskId": TASK}))
    assert answer == Unknown(Why.CONTRADICTORY, 200, status, "success", (TASK,))


@pytest.mark.parametrize("code", [429, 455, 500, 401, 402, 422])
def test_a_refusal_that_names_a_task_is_unknown(code: int) -> None:
    answer = read_create(200, {}, body(code, "no", data={"taskId": TASK}))
    assert answer == Unknown(Why.CONTRADICTORY, code, 200, "no", (TASK,))


@pytest.mark.parametrize("data", [None, "request-1234", {"id": "request-1234"}, {"taskId": None}])
def test_a_refusal_with_an_id_of_something_is_a_refusal(data: Any) -> None:
    answer = read_create(200, {}, body(422, "no", data=data, id="trace-5678"))
    assert answer == Refused(Cause.BAD_REQUEST, 422, 200, "no")


@pytest.mark.parametrize(
    ("status", "envelope"),
    [
        (200, {"code": 0, "data": {"taskId": TASK}}),
        (200, {"code": 201, "data": {"taskId": TASK}}),
        (201, {"data": {"taskId": TASK}}),
        (200, {"code": 200, "data": {"task_id": TASK}}),
        (200, {"code": 200, "taskId": TASK}),
        (200, {"code": 200, "data": {"recordId": TASK}}),
        (200, {"code": 200, "data": TASK}),
        (200, {"code": 200, "data": [TASK]}),
        (502, {"code": 200, "data": {"taskId": TASK}}),
        (500, {"taskId": TASK}),
        (404, {"data": {"taskId": TASK}}),
        (302, {"data": {"taskId": TASK}}),
        (429, {"data": {"taskId": TASK}}),
    ],
)
def test_the_id_of_an_odd_envelope_is_kept(status: int, envelope: dict[str, Any]) -> None:
    answer = read_create(status, {}, json.dumps(envelope).encode())
    assert isinstance(answer, Unknown)
    assert answer.task_ids == (TASK,)


def test_the_id_of_a_truncated_body_is_kept() -> None:
    answer = read_create(200, {}, b'{"code":200,"data":{"taskId":"%s","rec' % TASK.encode())
    assert answer == Unknown(
        Why.NOT_JSON, None, 200, f'{{"code":200,"data":{{"taskId":"{TASK}","rec', (TASK,)
    )


PROMPT = "a poster that says: insufficient credits, rate limit"


@pytest.mark.parametrize("quoted", [PROMPT, PROMPT[:30], f'"{PROMPT}"'])
def test_the_words_of_the_prompt_say_nothing(quoted: str) -> None:
    answer = read_create(200, {}, body(500, f"Server exception: {quoted}"), prompt=PROMPT)
    assert isinstance(answer, Refused)
    assert answer.cause is Cause.SERVER_FAULT


NO_ENVELOPES = [
    b"",
    b"<html><body>Bad Gateway</body></html>",
    b"error code: 502",
    b'{"code":500,"msg":"Internal Err',
    b"\xff\xfe\x00",
    b"[1,2]",
    b'"text"',
    b"500",
    b"null",
    b"[" * 100_000,
    b'{"code":' + b"9" * 5000 + b"}",
]


@pytest.mark.parametrize("status", [200, 400, 401, 403, 408, 413, 500, 502, 503, 504, 520, 522, 524])
@pytest.mark.parametrize("raw", NO_ENVELOPES)
def test_a_body_that_is_not_a_json_object_is_unknown(raw: bytes, status: int) -> None:
    answer = read_create(status, {}, raw)
    assert isinstance(answer, Unknown)
    assert (answer.why, answer.code, answer.http_status) == (Why.NOT_JSON, None, status)


@pytest.mark.parametrize("status", [400, 401, 403, 422, 500, 502, 503])
@pytest.mark.parametrize("fields", [{}, {"message": "Unauthorized"}, {"code": None}, {"code": "ERROR"}])
def test_an_error_status_whose_json_has_no_code_is_unknown(status: int, fields: dict[str, Any]) -> None:
    answer = read_create(status, {}, json.dumps(fields).encode())
    assert isinstance(answer, Unknown)
    assert answer.why is Why.NO_CODE


@pytest.mark.parametrize("raw", [*NO_ENVELOPES, b"{}", b'{"message":"slow down"}'])
@pytest.mark.parametrize(("status", "cause"), [(429, Cause.RATE_LIMITED), (455, Cause.MAINTENANCE)])
def test_a_plain_status_of_a_refusal_needs_no_envelope(status: int, cause: Cause, raw: bytes) -> None:
    answer = read_create(status, {}, raw)
    assert isinstance(answer, Refused)
    assert (answer.cause, answer.code, answer.http_status) == (cause, None, status)


@pytest.mark.parametrize("place", ["headers", "data", "top"])
def test_retry_after_is_read_wherever_it_stands(place: str) -> None:
    headers = {"Retry-AFTER": "7"} if place == "headers" else {}
    data = {"retryAfter": 7} if place == "data" else None
    top = {"retry_after_ms": 7000} if place == "top" else {}
    answer = read_create(200, headers, body(429, "slow", data=data, **top))
    assert isinstance(answer, Refused)
    assert answer.retry_after == 7.0


def test_a_message_is_truncated_and_cleaned() -> None:
    answer = read_create(200, {}, body(429, "a\x1b[31m\r\nb\ud800\u202e" + "x" * 10_000))
    assert isinstance(answer, Refused)
    assert answer.message.startswith("a [31m b xxx")
    assert len(answer.message) == 500


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
CODE = st.sampled_from([200, "200", 200.0, 402, 422, 429, 500, 501, None, -1]) | JSON
ENVELOPE = st.fixed_dictionaries(
    {},
    optional={
        "code": CODE,
        "msg": JSON,
        "message": JSON,
        "data": JSON | st.fixed_dictionaries({"taskId": JSON}),
        "retryAfter": JSON,
        "id": JSON,
    },
)
STATUS = st.sampled_from([200, 204, 301, 400, 429, 455, 500, 502]) | st.integers(100, 599)
BODY = st.binary(max_size=200) | (JSON | ENVELOPE).map(lambda value: json.dumps(value).encode())
HEADERS = st.dictionaries(
    st.sampled_from(["retry-after", "date", "location", "cf-mitigated"]), st.text(max_size=20)
)


@given(STATUS, HEADERS, BODY)
def test_no_answer_raises_and_none_is_accepted_without_a_task_id(
    status: int, headers: dict[str, str], raw: bytes
) -> None:
    answer = read_create(status, headers, raw)
    if isinstance(answer, Accepted):
        sent = json.loads(raw)["data"]["taskId"]
        assert answer.task_id == sent.strip() != ""
        assert 200 <= status < 300
    else:
        assert isinstance(answer, Refused | Unknown)
        assert len(answer.message) <= 500
        assert answer.message.isprintable()
    if isinstance(answer, Unknown):
        assert len(answer.task_ids) <= 4
        assert all(0 < len(task_id) <= 256 and task_id.isprintable() for task_id in answer.task_ids)
    if isinstance(answer, Refused):
        assert answer.retry_after is None or 0 <= answer.retry_after <= 3600
