"""The words for copies of images."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from limner.cli.as_json import fields_of
from limner.cli.copy_words import pending
from limner.cli.words import ending, happened, paid_tasks, standing
from limner.models import ImageFile
from limner.status import Copy, JobState, PendingCopy, Task, TaskState
from tests.unit.limner.cli.test_words import IMAGES, NOW, make_status

FILE = ImageFile(
    url="https://cdn.example/a/1.png",
    name="a/1.png",
    sha256="0123456789abcdef" * 4,
    size=1_500_000,
    content_type="image/png",
    width=8,
    height=8,
)


def test_the_end_tells_files_in_place_of_links_once_all_are_copied() -> None:
    copied = IMAGES.model_copy(update={"files": [FILE], "copied": True})
    assert ending(copied)[0] == "file: https://cdn.example/a/1.png  a/1.png, 1.5 MB, sha256 0123456789ab"
    assert not any(IMAGES.urls[0] in line for line in ending(copied))
    partly = IMAGES.model_copy(update={"files": [FILE]})
    assert ending(partly)[0] == "image: https://files.example/1.png"


def copy_of(number: int, *, stored: bool) -> Copy:
    return Copy(number=number, task_id="t1", url=f"https://a/{number}.png", stored=stored, file=FILE)


def test_the_standing_of_a_job_tells_its_copies() -> None:
    def told(*stored: bool, **facts: Any) -> str:
        copies = tuple(copy_of(number, stored=each) for number, each in enumerate(stored, 1))
        return standing(make_status(state=JobState.COPYING, copies=copies, **facts), NOW)

    soon = NOW + timedelta(seconds=12)
    assert told(True, True) == "copying, 2 of 2 images stored (3.0 MB)"
    # The object of an image that is not stored is only planned.
    assert told(True, False, next_copy_at=soon) == "copying, 1 of 2 images stored (1.5 MB)"
    assert told(False, next_copy_at=soon, copy_tries=1) == (
        "copying, 0 of 1 image stored, 1 try has failed, the next one in 12.0 s"
    )
    assert told(False, next_copy_at=NOW - timedelta(seconds=1), copy_tries=3) == (
        "copying, 0 of 1 image stored, 3 tries have failed, the next one in 0.0 s"
    )
    assert told(False) == (
        "copying, 0 of 1 image stored, the rest is not tried any more: python -m limner copies --retry"
    )


def test_what_was_paid_for_beside_the_result_is_told_with_its_copies() -> None:
    task = Task(
        task_id="t1",
        attempt=1,
        state=TaskState.SUCCEEDED,
        confirmed=True,
        credits=None,
        urls=("https://a/1.png", "https://a/2.png"),
        known_at=None,
        account="main",
    )
    cancelled = make_status(
        state=JobState.CANCELLED,
        tasks=(task,),
        copies=(copy_of(1, stored=True), copy_of(2, stored=False)),
    )
    assert paid_tasks(cancelled) == [
        "provider task t1, attempt 1: succeeded",
        "file: https://cdn.example/a/1.png  a/1.png, 1.5 MB, sha256 0123456789ab",
        "image: https://a/2.png",
    ]


def test_a_job_whose_images_are_not_copied_is_told_in_a_line() -> None:
    waiting = PendingCopy(
        job_id="j1",
        failed=False,
        since=NOW,
        tries=2,
        at=NOW + timedelta(seconds=4),
        last_error="the host is away",
    )
    assert pending(waiting, NOW) == (
        "j1  since 2026-11-23T12:00:00Z  2 failed tries  next try in 4.0 s  the host is away"
    )
    failed = replace(waiting, failed=True, tries=1, last_error=None)
    assert pending(failed, NOW) == (
        "j1  since 2026-11-23T12:00:00Z  1 failed try  given up 2026-11-23T12:00:04Z"
    )


def test_the_copies_of_a_status_are_plain_json() -> None:
    facts = fields_of(make_status(copies=(copy_of(1, stored=True),)))
    assert json.loads(json.dumps(facts))["copies"] == [
        {
            "number": 1,
            "task_id": "t1",
            "url": "https://a/1.png",
            "stored": True,
            "file": FILE.model_dump(mode="json"),
        }
    ]


@pytest.mark.parametrize(
    ("event", "detail", "words"),
    [
        ("copied", {"images": 2, "size": 2_500_000}, "copied: 2 images, 2.5 MB"),
        (
            "not_copied",
            {"error": {"cause": "status", "message": "HTTP 503"}, "images": 1, "next": 2000},
            "not copied: status: HTTP 503; tried again in 2.0 s",
        ),
        (
            "copy_failed",
            {"error": {"cause": "status", "message": "HTTP 410"}, "images": 1},
            "its images could not be copied: status: HTTP 410",
        ),
    ],
)
def test_what_happens_to_copies_is_told(event: str, detail: dict[str, Any], words: str) -> None:
    assert happened(event, detail) == words
