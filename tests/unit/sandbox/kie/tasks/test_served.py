"""The list of result files."""

import pytest

from sandbox.kie.faults.faults import Fault
from sandbox.kie.faults.rules import Rule
from sandbox.kie.tasks import served
from sandbox.kie.tasks.result_files import ResultFile, file_path
from sandbox.kie.tasks.served import ServedFiles
from tests.unit.sandbox.kie.tasks.test_ledger import task

END = 1_010_900
FILE, OTHER = ResultFile(b"abc", "hash", "image/png"), ResultFile(b"abcd", "other", "image/png")


def test_a_file_that_nobody_asked_for_is_listed_without_a_hash() -> None:
    page = ServedFiles().page([task(1)], 0, END)
    assert [row["number"] for row in page["files"]] == [1, 2]
    assert page["files"][0] == {
        "path": file_path(task(1).id, 0),
        "task_id": task(1).id,
        "number": 1,
        "sha256": None,
        "size": None,
        "content_type": None,
        "fetches": 0,
        "served": 0,
        "others": [],
    }


def test_a_row_tells_what_was_drawn_and_served() -> None:
    files, path = ServedFiles(), file_path(task().id, 1)
    assert [files.fetched(path), files.fetched(path)] == [1, 2]
    files.drawn(path, FILE)
    files.served(path)
    files.changed(path, OTHER)
    row = files.page([task()], 0, END)["files"][1]
    assert (row["sha256"], row["size"], row["content_type"]) == ("hash", 3, "image/png")
    assert (row["fetches"], row["served"], row["others"]) == (2, 1, ["other"])
    assert files.page([task()], 0, END)["files"][0]["others"] == []


def test_a_task_that_runs_or_failed_has_no_files() -> None:
    failed = task(1, fate={Fault.TASK_FAIL: Rule(probability=1.0)})
    assert ServedFiles().page([task(), failed], 0, END - 1)["files"] == []
    assert {row["task_id"] for row in ServedFiles().page([task(), failed], 0, END)["files"]} == {task().id}


def test_a_page_says_whether_more_tasks_follow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served, "PAGE_TASKS", 2)
    tasks = [task(number) for number in range(5)]
    pages, after, more = [], 0, True
    while more:
        page = ServedFiles().page(tasks, after, END)
        pages.append(len(page["files"]))
        after, more = page["after"], page["more"]
    assert (pages, after) == ([4, 4, 2], 5)
