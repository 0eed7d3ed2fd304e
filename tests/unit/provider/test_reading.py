"""Answers to recordInfo: tolerant types, failures, no record, unreadable (contract 2.1, 2.3, 2.4, 2.5)."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner import errors
from provider import (
    Cause,
    Done,
    FailCause,
    Failed,
    NoRecord,
    Pending,
    Unreadable,
    Why,
    read_credits,
    read_record,
)
from tests.unit.provider.test_answers import BODY, HEADERS, JSON, NO_ENVELOPES, STATUS

URL = "https://tempfile.aiquickdraw.com/r/9c1e_0.png"
RESULT = json.dumps({"resultUrls": [URL]})


def record(code: Any = 200, message: str = "success", **data: Any) -> bytes:
    return json.dumps({"code": code, "msg": message, "data": {"taskId": "t", **data}}).encode()


def done(**data: Any) -> Done:
    answer = read_record(200, {}, record(state="success", **{"resultJson": RESULT, **data}))
    assert isinstance(answer, Done)
    return answer


def failed(**data: Any) -> Failed:
    answer = read_record(200, {}, record(**{"state": "fail", **data}))
    assert isinstance(answer, Failed)
    return answer


@pytest.mark.parametrize("state", ["waiting", "queuing", "generating"])
def test_a_known_state_is_pending(state: str) -> None:
    body = record(state=state, resultJson="", failCode=None, failMsg=None, completeTime=None)
    assert read_record(200, {}, body) == Pending(state, known_state=True)


def test_an_unknown_state_is_pending_and_marked_as_unknown() -> None:
    assert read_record(200, {}, record(state="dreaming\x00")) == Pending("dreaming", known_state=False)


@pytest.mark.parametrize("data", [{}, {"state": None}, {"state": ""}, {"state": 3}])
def test_a_record_without_a_state_is_unreadable(data: dict[str, Any]) -> None:
    answer = read_record(200, {}, record(**data))
    assert answer == Unreadable(Why.BAD_DATA, 200, 200, "success")


def test_a_success_has_its_urls_credits_and_times() -> None:
    answer = done(creditsConsumed=3.5, createTime=1767225600000, completeTime=1767225611480)
    assert answer == Done((URL,), Decimal("3.5"), 1767225600000, 1767225611480)


@pytest.mark.parametrize(
    "result", [RESULT, {"resultUrls": [URL]}, json.dumps(RESULT), {"resultUrls": ["", None, URL, 7]}]
)
def test_the_result_may_be_an_object_or_json_in_strings(result: Any) -> None:
    assert done(resultJson=result).urls == (URL,)


@pytest.mark.parametrize(
    "result",
    [
        None,
        "",
        "not json",
        "[]",
        5,
        [],
        {},
        {"resultUrls": None},
        {"resultUrls": []},
        {"resultUrls": [""]},
        {"resultUrls": URL},
        {"resultUrls": {"0": URL}},
        {"resultObject": {"text": "a"}},
    ],
)
def test_a_success_without_a_usable_url_is_done_without_urls(result: Any) -> None:
    assert done(resultJson=result).urls == ()


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a/b",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "https://",
        "https:///path",
        "//a/b",
        "/a",
        "https://a/b c",
        "https://a/\n",
        "https://a/\u202egnp",
        "https://a/" + "x" * 2048,
        "https://a\\@b/",
    ],
)
def test_an_unusable_url_is_left_out(url: str) -> None:
    assert done(resultJson={"resultUrls": [url, URL]}).urls == (URL,)


def test_urls_are_limited_in_number_and_keep_their_order() -> None:
    urls = [f"https://images.example/{n}.png" for n in range(100)]
    assert done(resultJson={"resultUrls": urls}).urls == tuple(urls[:16])


@pytest.mark.parametrize(
    ("data", "credits"),
    [
        ({"creditsConsumed": 3.5}, Decimal("3.5")),
        ({"creditsConsumed": 7}, Decimal(7)),
        ({"creditsConsumed": "10.25"}, Decimal("10.25")),
        ({"consumeCredits": 4}, Decimal(4)),
        ({"creditsConsumed": None, "consumeCredits": 4}, Decimal(4)),
        ({"creditsConsumed": 0}, Decimal(0)),
        ({}, None),
    ],
)
def test_credits_are_exact_or_unknown(data: dict[str, Any], credits: Decimal | None) -> None:  # noqa: A002 - the field's name
    assert done(**data).credits == credits


@pytest.mark.parametrize(
    "number", ["1e999999999", "1e-999999999", "-1e999999", "0." + "3" * 100_000, "1E400"]
)
def test_a_number_with_a_huge_exponent_is_not_expanded(number: str) -> None:
    data = f'{{"state":"success","creditsConsumed":{number},"createTime":{number}}}'
    answer = read_record(200, {}, f'{{"code":200,"data":{data}}}'.encode())
    assert isinstance(answer, Done)
    assert len(f"{answer.credits or 0:f}") < 20


@pytest.mark.parametrize("time", [None, "soon", True, -5, 1.5, 10**30, {}])
def test_an_invalid_time_is_unknown(time: Any) -> None:
    assert done(createTime=time).created_ms is None


@pytest.mark.parametrize(
    ("cause", "error"),
    [
        (FailCause.MODERATION, errors.ModerationRefused),
        (FailCause.BAD_INPUT, errors.RequestRejected),
        (FailCause.NO_CREDITS, errors.InsufficientCredits),
        (FailCause.PROVIDER_FAULT, errors.GenerationFailed),
    ],
)
def test_a_failure_has_an_error(cause: FailCause, error: type[errors.JobFailed]) -> None:
    assert cause.error is error
    assert FailCause(str(cause)) is cause


@pytest.mark.parametrize(
    ("code", "message", "cause"),
    [
        ("422", "Invalid prompt: NSFW content", FailCause.MODERATION),
        ("400", "rejected by moderation", FailCause.MODERATION),
        ("SENSITIVE_WORD_ERROR", "", FailCause.MODERATION),
        ("500", "Safety system", FailCause.MODERATION),
        ("500", "content policy", FailCause.MODERATION),
        ("501", "prohibited words", FailCause.MODERATION),
        ("501", "violates our rules", FailCause.MODERATION),
        ("422", "copyright", FailCause.MODERATION),
        (None, "your prompt was Flagged", FailCause.MODERATION),
        ("422", "Invalid prompt: (reason)", FailCause.BAD_INPUT),
        (422, "", FailCause.BAD_INPUT),
        ("400", "bad", FailCause.BAD_INPUT),
        ("422_VALIDATION_FAILED", "", FailCause.BAD_INPUT),
        ("402", "", FailCause.NO_CREDITS),
        (402, "pay", FailCause.NO_CREDITS),
        ("500", "Credits insufficient : top up", FailCause.NO_CREDITS),
        ("500", "Your balance isn't enough", FailCause.NO_CREDITS),
        ("500", "Internal Error", FailCause.PROVIDER_FAULT),
        (501, "", FailCause.PROVIDER_FAULT),
        ("GENERATION_FAILED", "no luck", FailCause.PROVIDER_FAULT),
        ("", "", FailCause.PROVIDER_FAULT),
        (None, None, FailCause.PROVIDER_FAULT),
        ("NEW_WORD", "???", FailCause.PROVIDER_FAULT),
        ({"a": 1}, ["b"], FailCause.PROVIDER_FAULT),
    ],
)
@pytest.mark.parametrize("state", ["fail", "failed"])
def test_a_failure_is_classified(state: str, code: Any, message: Any, cause: FailCause) -> None:
    assert failed(state=state, failCode=code, failMsg=message).cause is cause


@pytest.mark.parametrize(
    ("sent", "read"), [("422", 422), (501, 501), ("GENERATION_FAILED", "GENERATION_FAILED"), ("", None)]
)
def test_a_fail_code_is_a_number_a_word_or_nothing(sent: Any, read: int | str | None) -> None:
    assert failed(failCode=sent).code == read


def test_an_envelope_with_code_501_is_a_failed_task() -> None:
    with_data = read_record(200, {}, record(501, "Playground task failed.", state="fail", failCode="500"))
    assert with_data == Failed(FailCause.PROVIDER_FAULT, 500, "Playground task failed.")
    bare = read_record(501, {}, b'{"code":501,"msg":"Generation failed","data":null}')
    assert bare == Failed(FailCause.PROVIDER_FAULT, 501, "Generation failed")


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
    assert read_record(code if as_status else 200, {}, body) == NoRecord(code, message)


def test_a_success_with_null_data_is_no_record() -> None:
    assert read_record(200, {}, b'{"code":200,"msg":"success","data":null}') == NoRecord(200, "success")


@pytest.mark.parametrize("as_status", [False, True])
@pytest.mark.parametrize(
    ("code", "cause"),
    [
        (400, Cause.BAD_REQUEST),
        (401, Cause.UNAUTHORIZED),
        (402, Cause.NO_CREDITS),
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
    answer = read_record(status, {"retry-after": "3"}, json.dumps({"code": code, "msg": "no"}).encode())
    assert answer == Unreadable(Why.REFUSED, code, status, "no", cause, 3.0)


@pytest.mark.parametrize("code", [408, 502, 999])
def test_a_read_with_an_unknown_code_is_unreadable(code: int) -> None:
    answer = read_record(200, {}, json.dumps({"code": code, "msg": "odd"}).encode())
    assert answer == Unreadable(Why.UNKNOWN_CODE, code, 200, "odd")


@pytest.mark.parametrize("status", [200, 404, 422, 500, 502, 524])
@pytest.mark.parametrize("raw", NO_ENVELOPES)
def test_a_read_that_is_not_a_json_object_is_unreadable(raw: bytes, status: int) -> None:
    answer = read_record(status, {}, raw)
    assert isinstance(answer, Unreadable)
    assert (answer.why, answer.cause) == (Why.NOT_JSON, None)


def test_a_limiter_without_an_envelope_refuses_the_read() -> None:
    answer = read_record(429, {}, b"<html>")
    assert answer == Unreadable(Why.REFUSED, None, 429, "<html>", Cause.RATE_LIMITED)


@pytest.mark.parametrize("data", ["text", [], 7, False])
def test_data_of_the_wrong_type_is_unreadable(data: Any) -> None:
    answer = read_record(200, {}, json.dumps({"code": 200, "data": data}).encode())
    assert isinstance(answer, Unreadable)
    assert answer.why is Why.BAD_DATA


def test_a_finished_task_under_an_error_status_is_unreadable() -> None:
    answer = read_record(502, {}, record(state="success", resultJson=RESULT))
    assert isinstance(answer, Unreadable)
    assert answer.why is Why.CONTRADICTORY


@pytest.mark.parametrize("sent", ["5916.25", '"5916.25"', "5916.250"])
def test_a_balance_is_a_bare_decimal(sent: str) -> None:
    assert read_credits(200, {}, b'{"code":200,"data":%s}' % sent.encode()) == Decimal("5916.25")


@pytest.mark.parametrize("raw", [b'{"code":401,"msg":"no"}', b'{"code":200,"data":null}', b"<html>"])
def test_no_balance_is_unreadable(raw: bytes) -> None:
    assert isinstance(read_credits(200, {}, raw), Unreadable)


FIELDS = ("resultJson", "failCode", "failMsg", "creditsConsumed", "createTime", "completeTime")
RECORD = st.fixed_dictionaries(
    {
        "code": st.sampled_from([200, 501, "200"]),
        "data": st.fixed_dictionaries(
            {"state": st.sampled_from(["waiting", "success", "fail", "failed"]) | st.text()},
            optional=dict.fromkeys(
                FIELDS, JSON | st.fixed_dictionaries({"resultUrls": st.lists(st.text() | st.just(URL))})
            ),
        ),
    }
).map(lambda value: json.dumps(value).encode())


@given(STATUS, HEADERS, BODY | RECORD)
def test_no_answer_raises_and_all_values_are_within_limits(
    status: int, headers: dict[str, str], raw: bytes
) -> None:
    match read_record(status, headers, raw):
        case Done(urls, credits, _, _):
            assert len(urls) <= 16
            assert all(url.lower().startswith("http") and len(url) <= 2048 for url in urls)
            assert credits is None or 0 <= credits < 10**9
        case Pending(state, _):
            assert state.isprintable()
            assert 0 < len(state) <= 64
        case Failed(_, _, message) | NoRecord(_, message) | Unreadable(message=message):
            assert message.isprintable()
            assert len(message) <= 500
    read_credits(status, headers, raw)
