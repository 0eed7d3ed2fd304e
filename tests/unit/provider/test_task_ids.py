"""The id of a task, and its candidates wherever an answer may name one (contract 1.2, 10)."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.task_ids import candidates, read_task_id
from tests.unit.provider.test_answers import BODY

ID, OTHER = "3f0c9a5be1d24772a86b1d0e5c94f1aa", "task_ideogram_1765180579300"


@pytest.mark.parametrize("data", [None, "t1", {}, {"taskId": 7}, {"taskId": "a b"}, {"taskId": "x" * 257}])
def test_a_task_id_is_one_printable_word(data: object) -> None:
    assert read_task_id(data) is None
    assert read_task_id({"taskId": " t1 "}) == "t1"


@pytest.mark.parametrize(
    "value",
    [
        {"data": {"taskId": ID}},
        {"data": {"task_id": ID}},
        {"data": {"recordId": ID}},
        {"data": {"record_id": ID, "taskId": None}},
        {"data": {"taskId": ID, "recordId": ID}},
        {"data": {"id": ID}},
        {"data": ID},
        {"data": [ID]},
        {"data": [{"taskId": ID}]},
        {"data": json.dumps({"taskId": ID})},
        {"data": json.dumps(json.dumps([ID]))},
        {"data": {"response": {"task": {"taskId": ID}}}},
        {"taskId": ID},
        {"recordId": ID},
        {"id": ID},
        {"msg": json.dumps({"taskId": ID})},
        [{"taskId": ID}],
        ID,
    ],
)
def test_an_id_is_found_wherever_it_stands(value: Any) -> None:
    assert candidates(json.dumps(value).encode()) == (ID,)
    assert candidates(json.dumps(value).encode(), refused=True) == (ID,)


def test_an_id_is_found_in_the_message_unless_that_refuses() -> None:
    body = json.dumps({"message": f"Task {ID} was created, not {ID}0"}).encode()
    assert candidates(body) == (ID,)
    assert candidates(body, refused=True) == ()


def test_a_whole_number_can_be_an_id() -> None:
    assert candidates(b'{"data":{"taskId":1765180579300}}') == ("1765180579300",)


def test_the_likeliest_come_first_and_there_are_at_most_four() -> None:
    value = {
        "id": "id-00000001",
        "recordId": "r1",
        "data": {"id": "id-00000002", "recordId": "r2", "task_id": "t2", "taskId": "t1"},
    }
    assert candidates(json.dumps(value).encode()) == ("t1", "t2", "r1", "r2")
    del value["data"]
    assert candidates(json.dumps(value).encode()) == ("r1", "id-00000001")


@pytest.mark.parametrize(
    "word",
    [
        "",
        " ",
        "null",
        "success",
        "OK",
        "7",
        "https://h/t1",
        "a b",
        "{}",
        "x" * 257,
        "t\x00",
        True,
        [],
        10**400,
    ],
)
def test_what_is_no_id_is_no_candidate(word: Any) -> None:
    body = json.dumps({"data": {"taskId": word, "id": word}, "task_id": word}).encode()
    assert candidates(body) == ()
    assert candidates(json.dumps({"data": word}).encode()) == ()


@pytest.mark.parametrize(
    "value",
    [
        {"data": {"param": {"taskId": ID}, "input": {"taskId": ID}, "prompt": json.dumps({"taskId": ID})}},
        {"requestId": ID},
        {"data": {"traceId": ID}},
        {"data": {"model": "ideogram/v3"}},
    ],
)
def test_an_id_of_something_else_is_no_candidate(value: Any) -> None:
    assert candidates(json.dumps(value).encode()) == ()


@pytest.mark.parametrize("value", [{"data": "request-123"}, {"id": "request-123"}, {"data": ["request-123"]}])
def test_in_a_refusal_a_bare_text_counts_only_in_the_form_of_an_id(value: Any) -> None:
    body = json.dumps(value).encode()
    assert candidates(body) == ("request-123",)
    assert candidates(body, refused=True) == ()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f'{{"code":200,"data":{{"taskId":"{ID}","recordId":"x1', (ID,)),
        (f'{{"recordId":"{OTHER}","taskId" : "{ID}"', (ID, OTHER)),
        (f'{{"data":"{{\\"taskId\\":\\"{ID}\\",', (ID,)),
        (f'<html>{{"task_id":"{ID}"}}', (ID,)),
        (f'{{"data":{{"taskId":"{ID[:20]}', ()),
        (f'{{"data":{{"requestId":"{ID}",', ()),
        ("", ()),
    ],
)
def test_in_a_truncated_body_an_id_is_found_as_text(text: str, found: tuple[str, ...]) -> None:
    assert candidates(text.encode()) == found


def test_an_id_is_found_in_utf_16() -> None:
    assert candidates(json.dumps({"taskId": ID}).encode("utf-16")) == (ID,)
    assert candidates(f'{{"taskId":"{ID}", "x'.encode("utf-16")) == (ID,)


@given(BODY | st.binary().map(lambda raw: b'{"taskId":"' + raw + b'", "taskId":"' + raw))
def test_no_body_raises(body: bytes) -> None:
    for refused in (False, True):
        found = candidates(body, refused=refused)
        assert len(found) == len(set(found)) <= 4
        assert all(0 < len(word) <= 256 and word.isprintable() and " " not in word for word in found)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"taskId":"' * 50_000,
        b'"' * 100_000,
        b"\\" * 100_000,
        b'{"data":' + b"[" * 900 + b"]" * 900 + b"}",
    ],
    ids=["lists", "names", "quotes", "escapes", "deep"],
)
def test_a_monstrous_body_names_nothing(body: bytes) -> None:
    assert candidates(body) == ()
