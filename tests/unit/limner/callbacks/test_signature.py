"""The parts of a callback that count: the id that it names, and its signature."""

import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from limner.callbacks import HideToken, Refusal, task_id_of
from limner.callbacks.signature import SIGNATURE, TIMESTAMP, WINDOW, check, signature

KEY = SecretStr("example-webhook-key")
TASK = "3f0c9a5be1d24772a86b1d0e5c94f1aa"
SIGNED_AT = 1767225600
VECTOR = "QjEsOPAIYGUhfxLJfHjjlT2TwBB4uor1+4eN1VoiCc4="  # contract 3.2


def headers(timestamp: str = str(SIGNED_AT), signed: str = VECTOR) -> dict[str, str]:
    return {TIMESTAMP: timestamp, SIGNATURE: signed}


@pytest.mark.parametrize(
    "body",
    [
        {"code": 200, "data": {"taskId": TASK, "state": "success"}},
        {"code": 501, "data": {"task_id": TASK}},
        {"taskId": TASK},
        {"task_id": TASK, "data": None},
        {"data": {"taskId": TASK, "task_id": None}},
        {"taskId": TASK, "data": {"task_id": TASK, "taskId": TASK}},
        {"data": {"taskId": "x" * 256}},
    ],
)
def test_the_task_is_found_in_either_spelling_and_place(body: dict[str, object]) -> None:
    assert task_id_of(json.dumps(body).encode()) in {TASK, "x" * 256}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"17",
        b'"' + TASK.encode() + b'"',
        b"{",
        b'{"data": "' + TASK.encode() + b'"}',
        b'{"data": {"data": {"taskId": "deeper"}}}',
        b'{"other": {"taskId": "elsewhere"}}',
        b'[["taskId", "an array is no object"]]',
        b'{"data": [["taskId", "an array is no object"]]}',
        b'[{"taskId": "in an array"}]',
        b'{"taskId": ""}',
        b'{"taskId": 17}',
        b'{"taskId": null}',
        b'{"taskId": NaN}',
        b'{"taskId": ["x"]}',
        b'{"taskId": {"taskId": "x"}}',
        b'{"taskId": "' + b"x" * 257 + b'"}',
        b'{"taskId": "line\\nbreak"}',
        b'{"taskId": "\\u0000"}',
        b'{"taskId": "\\ud800"}',
        b'{"taskId": "\xff\xfe"}',
        b"[" * 60_000,
        b'{"data":' * 8_000,
        b'{"taskId": "one", "task_id": "two"}',
        b'{"taskId": "one", "taskId": "two"}',
        b'{"taskId": "one", "data": {"taskId": "two"}}',
        b'{"data": {"taskId": "one"}, "data": {"taskId": "two"}}',
        b'{"taskId": "one", "task_id": 2}',
    ],
)
def test_a_body_that_names_no_task_or_several_names_none(body: bytes) -> None:
    assert task_id_of(body) is None


@pytest.mark.parametrize(
    "other", [b"9" * 60_000, b"1e999999", b"NaN", b"-Infinity", b'"' + b"z" * 60_000 + b'"', b"[[[]]]"]
)
def test_what_else_the_body_holds_does_not_matter(other: bytes) -> None:
    assert task_id_of(b'{"costTime": ' + other + b', "taskId": "' + TASK.encode() + b'"}') == TASK


@given(st.binary(max_size=200) | st.text().map(str.encode))
def test_no_body_is_too_strange(body: bytes) -> None:
    found = task_id_of(body)
    assert found is None or (found.isprintable() and 0 < len(found) <= 256)


def test_the_signature_is_the_provider_s() -> None:
    assert signature(KEY, TASK, str(SIGNED_AT)).decode() == VECTOR
    assert check(KEY, TASK, headers(), SIGNED_AT) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {TIMESTAMP: str(SIGNED_AT)},
        {SIGNATURE: VECTOR},
        headers(signed=""),
        headers(signed=VECTOR[:-1]),
        headers(signed=VECTOR.lower()),
        headers(signed="not base64 at all"),
        headers(signed="ключ"),
        headers(signed="\ud800"),
        headers(signed="A" * 60_000),
        headers(timestamp=str(SIGNED_AT + 1)),
        headers(timestamp="0" + str(SIGNED_AT)),
        headers(timestamp=""),
        headers(timestamp=f"{SIGNED_AT}.0"),
        headers(timestamp="-5"),
        headers(timestamp="nan"),
        headers(timestamp="9" * 5000),
        headers(timestamp="١٧٦٧٢٢٥٦٠٠"),
    ],
)
def test_any_other_signature_is_refused(wrong: dict[str, str]) -> None:
    assert check(KEY, TASK, wrong, SIGNED_AT) is Refusal.BAD_SIGNATURE


def test_a_signature_is_of_one_task_and_one_key() -> None:
    assert check(KEY, TASK[::-1], headers(), SIGNED_AT) is Refusal.BAD_SIGNATURE
    assert check(SecretStr("another-key"), TASK, headers(), SIGNED_AT) is Refusal.BAD_SIGNATURE


@pytest.mark.parametrize("away", [-WINDOW - 1, WINDOW + 1])
def test_a_signature_out_of_its_window_is_stale(away: int) -> None:
    assert check(KEY, TASK, headers(), SIGNED_AT + away) is Refusal.STALE
    assert check(KEY, TASK, headers(), SIGNED_AT + away // (WINDOW + 1) * WINDOW) is None


@pytest.mark.parametrize(
    ("message", "arguments"),
    [
        ('%s - "%s %s HTTP/%s" %d', ("127.0.0.1:1", "POST", "/callbacks/job/s3cret", "1.1", 200)),
        ('%s - "%s %s HTTP/%s" %d', ("127.0.0.1:1", "POST", "/base/callbacks/a/b/s3cret/?x=1", "1.1", 404)),
        ('127.0.0.1 "POST /callbacks/job/s3cret HTTP/1.1" 200', ()),
    ],
)
def test_a_token_is_hidden_from_an_access_log(message: str, arguments: tuple[object, ...]) -> None:
    record = logging.LogRecord("uvicorn.access", logging.INFO, "", 0, message, arguments, None)
    assert HideToken().filter(record)
    assert "s3cret" not in record.getMessage()
    assert "/callbacks/… HTTP/1.1" in record.getMessage()


def test_other_paths_stay_in_an_access_log() -> None:
    record = logging.LogRecord("uvicorn.access", logging.INFO, "", 0, "%s %s", ("GET", "/images/1"), None)
    HideToken().filter(record)
    assert record.getMessage() == "GET /images/1"
