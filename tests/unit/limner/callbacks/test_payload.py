"""The task that a callback's body names."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.callbacks.payload import LONGEST_ID, MOST_IDS, is_id, task_id_of, task_ids_of


@pytest.mark.parametrize(
    "body",
    [
        b'{"data": {"taskId": "t1"}}',
        b'{"data": {"task_id": "t1"}}',
        b'{"taskId": "t1"}',
        b'{"task_id": "t1", "data": {"taskId": "t1"}}',
        b'{"taskId": null, "data": {"taskId": "t1"}}',
        b'{"code": ' + b"9" * 5000 + b', "data": {"taskId": "t1", "costTime": NaN}}',
    ],
)
def test_the_task_is_named_in_either_place_and_spelling(body: bytes) -> None:
    assert task_id_of(body) == "t1"


NESTED = json.dumps({"data": json.dumps({"data": json.dumps({"task_id": "t1"})})})


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"data": json.dumps({"taskId": "t1"})}).encode(),
        NESTED.encode(),
        json.dumps(json.dumps({"taskId": "t1"})).encode(),
        b'{"data": {"recordId": "t1"}}',
        b'{"record_id": "t1"}',
        b'{"data": {"data": {"taskId": "t1"}}}',
        b'{"data": {"response": {"taskId": "t1"}}}',
        b'[{"code": 200}, {"data": [{"taskId": "t1"}]}]',
        b'{"event": {"taskId": "t1"}}',
        '{"taskId": "t1"}'.encode("utf-16"),
        b'\xef\xbb\xbf{"taskId": "t1"}',
    ],
)
def test_the_task_is_found_in_odd_bodies(body: bytes) -> None:
    assert task_id_of(body) == "t1"


@pytest.mark.parametrize(
    "body",
    [
        b'{"code": 200, "data": {"taskId": "t1", "param": "{\\"model',
        b'{"code": 200, "data": {"taskId" : "t1"}',
        b'{"code": 200, "data": "{\\"taskId\\":\\"t1\\",\\"par',
        b'{"recordId": "t0", "taskId": "t1", ',
        b'{"taskId": "t1", "failMsg": "\xff"}',
        b'{"taskId": "t1", "failMsg": "a "quoted" word"}',
        b'{"taskId": "t1"} trailing',
        '{"taskId": "t1", '.encode("utf-16"),
    ],
)
def test_the_task_is_found_in_bodies_that_are_cut_or_broken(body: bytes) -> None:
    assert task_id_of(body) == "t1"


@pytest.mark.parametrize(
    ("body", "ids"),
    [
        (b'{"taskId": "t1", "data": {"taskId": "t2"}}', ("t2", "t1")),
        (b'{"data": {"recordId": "t1", "taskId": "t2"}}', ("t2", "t1")),
        (b'{"data": {"taskId": "t1", "taskId": "t2"}}', ("t1", "t2")),
        (b'{"other": {"taskId": "t3"}, "taskId": "t2", "data": {"task_id": "t1"}}', ("t1", "t2", "t3")),
        (b'{"taskId": "t1", "task_id": 2}', ("t1",)),
    ],
)
def test_of_several_tasks_the_one_in_data_comes_first(body: bytes, ids: tuple[str, ...]) -> None:
    assert task_ids_of(body) == ids


def test_the_number_of_ids_is_bounded() -> None:
    body = json.dumps([{"taskId": f"t{number}"} for number in range(100)]).encode()
    assert task_ids_of(body) == tuple(f"t{number}" for number in range(MOST_IDS))


PROMPT = 'say {"taskId": "of the prompt"}'


@pytest.mark.parametrize("input_", [{"prompt": PROMPT}, json.dumps({"prompt": PROMPT})])
@pytest.mark.parametrize("cut", [0, 1])
def test_a_prompt_names_no_task(input_: object, cut: int) -> None:
    body = json.dumps({"data": {"param": json.dumps({"input": input_}), "state": "success"}}).encode()
    assert task_ids_of(body[: len(body) - cut]) == ()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"17",
        b'"t1"',
        b"[" * 100_000,
        b"\xff",
        b"{}",
        b'{"data": "t1"}',
        b'{"taskId": 7}',
        b'{"taskId": null}',
        b'{"taskId": ["t1"]}',
        b'{"taskId": ""}',
        b'{"taskId": "t\\u0000"}',
        b'{"taskId": "\\ud800"}',
        b'{"taskId": "\xff\xfe"}',
        b'{"taskId": "' + b"x" * (LONGEST_ID + 1) + b'"}',
        b'{"taskId": "' + b"x" * (LONGEST_ID + 1) + b'", ',
        b'{"taskId": "the rest is missin',
        b'[["taskId", "an array is no object"]]',
        b'{"data":' * 8_000,
    ],
)
def test_a_body_that_names_no_task_is_none(body: bytes) -> None:
    assert task_id_of(body) is None


@pytest.mark.parametrize(
    "other", [b"9" * 60_000, b"1e999999", b"NaN", b"-Infinity", b'"' + b"z" * 60_000 + b'"', b"[[[]]]"]
)
def test_what_else_the_body_holds_does_not_matter(other: bytes) -> None:
    assert task_id_of(b'{"costTime": ' + other + b', "taskId": "t1"}') == "t1"


@given(
    st.binary(max_size=200)
    | st.text().map(str.encode)
    | st.text().map(lambda text: f'{{"taskId":"{text}'.encode())
)
def test_no_body_is_too_strange(body: bytes) -> None:
    assert all(is_id(found) for found in task_ids_of(body))


def test_an_id_is_printable_and_bounded() -> None:
    assert is_id("x" * LONGEST_ID)
    assert [is_id(text) for text in ("", "x" * (LONGEST_ID + 1), "a\nb")] == [False] * 3
