"""The mark on the fleet's own messages."""

import pytest

from worker.marks import Marks

CALL = ("limner.recover", "job-1", b"[[7], {}, {}]")


def marks(*keys: str) -> Marks:
    made = Marks()
    for key in keys:
        made.renew(lambda key=key: key)  # type: ignore[misc]
    return made


def test_workers_with_the_same_key_know_each_other_s_marks() -> None:
    assert marks("a").valid(marks("a").of(*CALL), *CALL)


@pytest.mark.parametrize(
    "other",
    [
        ("limner.check_credits", "job-1", b"[[7], {}, {}]"),
        ("limner.recover", "job-2", b"[[7], {}, {}]"),
        ("limner.recover", "job-1", b"[[8], {}, {}]"),
        ("limner.recove", "rjob-1", b"[[7], {}, {}]"),
        ("limner.recover", "job-1[", b"[7], {}, {}]"),
    ],
)
def test_a_mark_is_of_one_message_only(other: tuple[str, str, bytes]) -> None:
    assert not marks("a").valid(marks("a").of(*CALL), *other)


@pytest.mark.parametrize("forged", ["", "0" * 64, "\ud800", 1, True, None, ["x"]])
def test_what_is_no_mark_is_not_valid(forged: object) -> None:
    assert not marks("a").valid(forged, *CALL)


def test_another_key_makes_another_mark() -> None:
    assert not marks("b").valid(marks("a").of(*CALL), *CALL)


def test_without_a_key_no_mark_is_valid() -> None:
    assert not Marks().known
    assert not Marks().valid(marks("a").of(*CALL), *CALL)


def test_the_former_key_is_good_until_the_next_one() -> None:
    former = marks("a").of(*CALL)
    assert marks("a", "b").valid(former, *CALL)
    assert marks("a", "b", "b").valid(former, *CALL)
    assert not marks("a", "b", "c").valid(former, *CALL)
    assert marks("a", "b").of(*CALL) == marks("b").of(*CALL)
