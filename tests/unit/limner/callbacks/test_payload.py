"""The task that a callback's body names."""

import pytest

from limner.callbacks.payload import LONGEST_ID, is_id, task_id_of


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


@pytest.mark.parametrize(
    "body",
    [
        b'{"taskId": "t1", "data": {"taskId": "t2"}}',
        b'{"data": {"taskId": "t1", "taskId": "t2"}}',
        b'{"data": {"taskId": "t1"}, "data": {"taskId": "t2"}}',
    ],
)
def test_two_tasks_are_none(body: bytes) -> None:
    assert task_id_of(body) is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[" * 100_000,
        b"\xff",
        b"{}",
        b'{"data": "t1"}',
        b'{"data": {"data": {"taskId": "t1"}}}',
        b'{"taskId": 7}',
        b'{"taskId": ""}',
        b'{"taskId": "t\\u0000"}',
    ],
)
def test_a_body_that_names_no_task_is_none(body: bytes) -> None:
    assert task_id_of(body) is None


def test_an_id_is_printable_and_bounded() -> None:
    assert is_id("x" * LONGEST_ID)
    assert [is_id(text) for text in ("", "x" * (LONGEST_ID + 1), "a\nb")] == [False] * 3
