"""The cost of a job, as its record has it."""

import json
from typing import Any

import pytest

from limner.errors import (
    Cancelled,
    DeadlineExceeded,
    GenerationFailed,
    InDoubt,
    JobFailed,
    NoImages,
    RecordTooNew,
    RecordUnreadable,
)
from limner.ledger.layout.constants import VERSION
from limner.ledger.record import Record


def record(error: JobFailed, *tasks: dict[str, Any], **fields: Any) -> Record:
    stored = {
        "v": str(VERSION),
        "state": "failed",
        "request": '{"prompt": "a fox"}',
        "metadata": "{}",
        "priority": "5",
        "lease": "1",
        "attempt": "1",
        "polls": "1",
        "created": "1800000000000",
        "outcome": json.dumps({"error": error.to_json()}),
        "tasks": json.dumps(tasks),
        **fields,
    }
    return Record.from_hash("job", {name: text for name, text in stored.items() if text is not None})


def charged(error: JobFailed, *tasks: dict[str, Any], **fields: Any) -> str:
    failure = record(error, *tasks, **fields).failure
    assert failure
    assert type(failure) is type(error)
    assert failure.safe_to_resend == (failure.charged == "no")
    return failure.charged


PAID = {"id": "T", "attempt": 1, "state": "succeeded", "sure": True, "credits": "3.5"}
FAILED = {"id": "U", "attempt": 1, "state": "failed", "sure": True}
BLANK = {"id": "V", "attempt": 1, "state": "failed", "sure": True, "credits": "7"}
OPEN = {"id": "W", "attempt": 1, "state": "open", "sure": True}


def test_what_is_not_known_stays_so() -> None:
    assert charged(InDoubt("?")) == "maybe"
    assert charged(InDoubt("?"), OPEN) == "maybe"
    assert charged(InDoubt("?"), {**OPEN, "state": "lost"}) == "maybe"


@pytest.mark.parametrize("error", [InDoubt("?"), Cancelled("?"), Cancelled("?", {"charged": "no"})])
def test_a_task_that_has_succeeded_is_paid_for_whatever_the_error_said(error: JobFailed) -> None:
    assert charged(error, PAID) == "yes"
    assert charged(error, FAILED, PAID) == "yes"


def test_a_task_without_images_is_paid_for_even_if_another_one_has_failed() -> None:
    assert charged(GenerationFailed("?"), BLANK, FAILED) == "yes"
    assert charged(NoImages("?"), FAILED) == "yes"


def test_a_doubt_whose_tasks_have_all_failed_has_cost_nothing() -> None:
    assert charged(InDoubt("?"), FAILED) == "no"
    assert charged(Cancelled("?"), FAILED, FAILED) == "no"


@pytest.mark.parametrize("other", ["doubtful", "resubmitted", "faulted"])
def test_unless_another_attempt_may_have_been_accepted(other: str) -> None:
    assert charged(InDoubt("?"), FAILED, **{other: "1"}) == "maybe"


@pytest.mark.parametrize("facts", [{"resubmitted": "1"}, {"doubtful": "1"}, {"faulted": "1"}])
def test_an_earlier_attempt_that_may_have_been_accepted_may_have_been_charged(facts: dict[str, str]) -> None:
    assert charged(GenerationFailed("?"), **facts) == "maybe"
    assert charged(DeadlineExceeded("?", {"charged": "no"}), **facts) == "maybe"
    assert charged(NoImages("?"), **facts) == "yes"


def test_a_server_fault_before_the_task_that_failed_is_behind_us() -> None:
    assert charged(GenerationFailed("?"), {**FAILED, "state": "lost"}, faulted="1", task_id="U") == "no"


def test_a_task_that_is_still_open_may_be_charged() -> None:
    assert charged(Cancelled("?", {"charged": "no"}), OPEN) == "maybe"
    assert charged(NoImages("?"), OPEN) == "yes"


def test_a_failure_names_its_job_its_task_and_how_often_it_was_sent() -> None:
    failure = record(InDoubt("?"), attempt="3", uncounted="1", task_id="T").failure
    assert failure
    assert failure.details == {"job_id": "job", "task_id": "T", "attempts": 2}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("request", "{"),
        ("lease", "one"),
        ("tasks", '[{"id": 1}]'),
        ("tasks", "[1]"),
        ("created", None),
        ("sent", "x"),
    ],
)
def test_a_record_that_makes_no_sense_is_told_as_one(name: str, text: str | None) -> None:
    with pytest.raises(RecordUnreadable, match="the record of job job is damaged"):
        record(InDoubt("?"), **{name: text})


@pytest.mark.parametrize(
    ("version", "kind"), [("3", RecordUnreadable), ("99", RecordTooNew), (None, RecordUnreadable)]
)
def test_a_record_of_another_version_is_not_read(version: str | None, kind: type[Exception]) -> None:
    with pytest.raises(kind, match="known is"):
        record(InDoubt("?"), v=version)


def test_no_representation_shows_a_token() -> None:
    secret = record(InDoubt("?"), OPEN, **{"token:1": "hunter2"})
    assert secret.tokens == {1: "hunter2"}
    assert "hunter2" not in repr(secret)
    assert secret.attempt_of("https://hooks.example.test/callbacks/job/hunter2") == 1
    assert secret.attempt_of("https://hooks.example.test/callbacks/job/other") is None


FILE = {
    "url": "https://cdn/1.png",
    "name": "1.png",
    "sha256": "ab" * 32,
    "size": 1000,
    "content_type": "image/png",
    "width": 64,
    "height": 48,
    "thumbnail": None,
}
STORED = {"task": "T", "url": "https://a/1", "file": FILE, "stored": True}
PLANNED = {"task": "T", "url": "https://a/2", "file": {**FILE, "name": "2.png"}}
DOUBLE = {"task": "U", "url": "https://a/3"}


def images(*copies: dict[str, Any]) -> tuple[list[str], bool]:
    found = record(InDoubt("?"), PAID, sent="1800000001000", copies=json.dumps(copies))
    made = found.images_of("T", ["https://a/1", "https://a/2"], "3.5", found.created_at)
    return [file.name for file in made.files], made.copied


def test_the_files_of_a_result_are_those_that_are_stored() -> None:
    assert images(STORED, PLANNED, DOUBLE) == (["1.png"], False)
    assert images(STORED, {**PLANNED, "stored": True}, DOUBLE) == (["1.png", "2.png"], True)
    assert images(DOUBLE, {**STORED, "task": "U"}) == ([], False)


def test_copies_are_numbered_in_the_order_of_the_record() -> None:
    copies = record(InDoubt("?"), copies=json.dumps([STORED, PLANNED, DOUBLE])).copies
    assert [(copy.number, copy.task_id, copy.stored) for copy in copies] == [
        (1, "T", True),
        (2, "T", False),
        (3, "U", False),
    ]


@pytest.mark.parametrize(
    "copies", ["x", "[1]", "[{}]", '[{"task":"T"}]', '[{"task":"T","url":"u","file":{"size":1}}]']
)
def test_damaged_copies_make_a_record_unreadable(copies: str) -> None:
    with pytest.raises(RecordUnreadable):
        record(InDoubt("?"), copies=copies)
