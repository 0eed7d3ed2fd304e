"""The record of a task: states, results, times and failures (contract 2.1, 2.2, 2.3, 10)."""

import json
from decimal import Decimal
from typing import Any

import pytest

from limner import errors
from provider import Done, FailCause, Failed, Pending, callback_url
from provider.envelope import read_json
from provider.records import MAX_RAW, is_other_task, raw, read_task, state_of

URL = "https://tempfile.aiquickdraw.com/r/9c1e_0.png"
RESULT = json.dumps({"resultUrls": [URL]})
CREATED, COMPLETED = 1767225600000, 1767225611480


def read(message: str = "success", **fields: Any) -> Done | Failed | Pending:
    # As on the wire: decimals are exact.
    data = read_json(json.dumps({"taskId": "t", **fields}))
    assert isinstance(data, dict)
    answer = read_task(data, state_of(data), message, "https://api.kie.ai")
    assert isinstance(answer, Done | Failed | Pending)
    return answer


def done(message: str = "success", **fields: Any) -> Done:
    answer = read(message, **{"state": "success", "resultJson": RESULT, **fields})
    assert isinstance(answer, Done)
    return answer


def failed(**fields: Any) -> Failed:
    answer = read(**{"state": "fail", **fields})
    assert isinstance(answer, Failed)
    return answer


@pytest.mark.parametrize("state", ["waiting", "queuing", "generating"])
def test_a_known_state_is_pending(state: str) -> None:
    answer = read(state=state, resultJson="", failCode=None, failMsg=None, completeTime=None)
    assert answer == Pending(state, known_state=True)


@pytest.mark.parametrize(
    "state", ["success", "SUCCESS", "succeed", "succeeded", "completed", "complete", "done", "finished"]
)
def test_the_words_of_success_are_believed(state: str) -> None:
    assert done(state=state).urls == (URL,)


@pytest.mark.parametrize(
    "state", ["fail", "failed", "error", "cancelled", "canceled", "timeout", "timed_out", "TIMEDOUT"]
)
def test_the_words_of_failure_are_believed(state: str) -> None:
    assert failed(state=state, failMsg="odd").message == "odd"


@pytest.mark.parametrize(
    ("flag", "answer"), [(0, Pending), (1, Done), (3, Failed), ("3", Failed), (2, Failed)]
)
def test_a_flag_stands_in_for_a_missing_state(flag: Any, answer: type) -> None:
    assert isinstance(read(state="", successFlag=flag), answer)
    assert read(state="waiting", successFlag=flag) == Pending("waiting", known_state=True)


@pytest.mark.parametrize(
    "fields", [{}, {"resultJson": RESULT}, {"completeTime": COMPLETED}, {"failMsg": "odd"}]
)
def test_an_unknown_state_without_evidence_is_pending(fields: dict[str, Any]) -> None:
    assert read(state="dreaming\x00", **fields) == Pending("dreaming", known_state=False)


def test_an_unknown_state_with_images_and_an_end_is_done() -> None:
    answer = read(state="archived", resultJson=RESULT, completeTime=COMPLETED)
    assert isinstance(answer, Done)
    assert answer.urls == (URL,)


def test_an_unknown_state_with_a_failure_and_an_end_is_a_failure() -> None:
    answer = read(state="archived", failMsg="Internal Error", completeTime=COMPLETED)
    assert answer == Failed(FailCause.PROVIDER_FAULT, None, "Internal Error", transient=True)


@pytest.mark.parametrize(
    ("data", "other"),
    [
        ({}, False),
        ({"taskId": None, "recordId": ""}, False),
        ({"taskId": " 1234567 "}, False),
        ({"taskId": 1234567}, False),
        ({"taskId": "1234567", "recordId": "x"}, False),
        ({"taskId": "x"}, True),
        ({"task_id": "x"}, True),
        ({"recordId": "x"}, True),
        ({"taskId": ["1234567"]}, True),
        ({"taskId": 10**400}, True),
    ],
)
def test_a_record_names_its_task_or_none(data: dict[str, Any], other: bool) -> None:
    assert is_other_task(data, "1234567") is other


def test_a_success_has_its_urls_credits_and_times() -> None:
    answer = done(creditsConsumed=3.5, createTime=CREATED, completeTime=COMPLETED)
    assert answer == Done((URL,), Decimal("3.5"), CREATED, COMPLETED)


@pytest.mark.parametrize("number", ["1e999999999", "1e-999999999", "-1e999999", "0." + "3" * 100_000])
def test_a_number_with_a_huge_exponent_is_not_expanded(number: str) -> None:
    data = read_json(f'{{"creditsConsumed":{number},"createTime":{number}}}')
    assert isinstance(data, dict)
    answer = read_task(data, "success", "", "https://api.kie.ai")
    assert isinstance(answer, Done)
    assert len(f"{answer.credits or 0:f}") < 20
    assert len(answer.raw) <= MAX_RAW


def test_relative_urls_are_counted() -> None:
    answer = done(resultJson=["/r/a.png", URL])
    assert (answer.urls, answer.relative) == (("https://api.kie.ai/r/a.png", URL), 1)


@pytest.mark.parametrize(
    ("fields", "withheld"),
    [
        ({"failMsg": "The image was withheld as unsafe"}, "The image was withheld as unsafe"),
        ({"resultJson": {"message": "NSFW content detected"}}, "NSFW content detected"),
        ({"response": '{"data":[{"url":"","is_image_safe":false}]}'}, "is_image_safe: unsafe"),
        ({"resultJson": {"images": [], "has_nsfw_concepts": [False, True]}}, "has_nsfw_concepts: unsafe"),
        ({"resultJson": {"images": [], "has_nsfw_concepts": [False]}}, ""),
        ({"resultJson": ""}, ""),
        ({"failMsg": "no image yet"}, ""),
        ({"resultJson": {"text": "a man in a safety vest"}}, ""),
    ],
)
def test_images_are_withheld_only_if_the_provider_says_so(fields: dict[str, Any], withheld: str) -> None:
    answer = done(**{"resultJson": "", **fields})
    assert (answer.urls, answer.withheld) == ((), withheld)


def test_the_envelope_can_say_that_images_are_withheld() -> None:
    assert done("Output blocked by the safety filter", resultJson="").withheld
    assert not done("Output blocked by the safety filter").withheld


def test_the_raw_data_are_kept_without_the_request() -> None:
    answer = done(param='{"callBackUrl":"secret"}', creditsConsumed=10**15, odd=[None, 1.50, "ä\n"])
    assert json.loads(answer.raw) == {
        "taskId": "t",
        "state": "success",
        "resultJson": RESULT,
        "creditsConsumed": 10**15,
        "odd": [None, "1.5", "ä\n"],
    }
    assert answer.credits is None
    assert "ä" not in repr(answer)


def test_the_raw_data_are_bounded_and_have_no_token() -> None:
    # The token would be cut in its middle.
    cut = done(note="x" * (MAX_RAW - 300), url="https://h/callbacks/7/" + "secret" * 100).raw
    assert "callbacks/***" in cut
    assert "secret" not in cut
    assert len(done(note="x" * 100_000).raw) == MAX_RAW


def test_data_too_deep_for_a_text_are_left_out() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    assert raw({"deep": deep}) == ""


@pytest.mark.parametrize(
    ("cause", "error"),
    [
        (FailCause.MODERATION, errors.ModerationRefused),
        (FailCause.BAD_INPUT, errors.RequestRejected),
        (FailCause.NO_CREDITS, errors.InsufficientCredits),
        (FailCause.KEY_CAPPED, errors.InsufficientCredits),
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
        ("422", "Invalid prompt: (reason)", FailCause.BAD_INPUT),
        ("402", None, FailCause.NO_CREDITS),
        (None, None, FailCause.PROVIDER_FAULT),
        ({"a": 1}, ["b"], FailCause.PROVIDER_FAULT),
    ],
)
def test_a_failure_is_classified(code: Any, message: Any, cause: FailCause) -> None:
    assert failed(failCode=code, failMsg=message).cause is cause


def test_the_words_of_the_prompt_say_nothing() -> None:
    prompt = "a flagged copyright notice, nsfw"
    param = json.dumps({"input": json.dumps({"prompt": prompt})})
    answer = failed(failCode="500", failMsg=f"Internal Error with {prompt}", param=param)
    assert (answer.cause, answer.transient) == (FailCause.PROVIDER_FAULT, True)


def test_a_cancelled_task_is_no_fault_that_may_be_over_and_a_timeout_is_one() -> None:
    assert not failed(state="cancelled").transient
    assert failed(state="timed_out").transient


@pytest.mark.parametrize(
    ("sent", "code"), [("422", 422), (501, 501), ("GENERATION_FAILED", "GENERATION_FAILED"), ("", None)]
)
def test_a_fail_code_is_a_number_a_word_or_nothing(sent: Any, code: int | str | None) -> None:
    assert failed(failCode=sent).code == code


@pytest.mark.parametrize(
    ("param", "url"),
    [
        ('{"callBackUrl":"https://h/callbacks/1/t"}', "https://h/callbacks/1/t"),
        ({"callBackUrl": "https://h/callbacks/1/t"}, "https://h/callbacks/1/t"),
        ('{"callBackUrl":""}', None),
        ("[]", None),
        (None, None),
    ],
)
def test_the_callback_url_is_read_from_the_request(param: Any, url: str | None) -> None:
    assert callback_url(read(state="waiting", param=param)) == url
