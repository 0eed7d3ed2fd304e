"""Outcomes in files, brought home to a ledger."""

import logging
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from limner.errors import StoreUnavailable
from limner.ledger import Ledger
from limner.status import JobState
from tests.integration.limner.ledger.conftest import Bench
from worker.rescue import SUFFIX, Outcome, Rescue


@pytest.fixture
def bench(valkey_url: str) -> Iterator[Bench]:
    with redis.Redis.from_url(valkey_url, decode_responses=True) as client:
        yield Bench(client)


def read(bench: Bench, job_id: str) -> Any:
    record = bench.ledger.jobs.read(job_id)
    assert record
    return record


def files(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.exists() else []


def kept(folder: Path, outcome: Outcome) -> Path:
    """The file of a worker that has died."""
    path = Rescue(folder).keep(outcome)
    assert path
    return path


def test_a_file_says_no_more_than_ids_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = kept(tmp_path / "new", Outcome("../a job: ü", 3, "accepted", ("T",)))
    assert path.parent == tmp_path / "new"
    assert path.name.endswith(f".3{SUFFIX}")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [path] == files(tmp_path / "new")


def test_an_accepted_task_is_brought_home(bench: Bench, tmp_path: Path) -> None:
    job_id, grant = bench.sending()
    kept(tmp_path, Outcome(job_id, grant.attempt, "accepted", ("T",), delay=2.0))
    Rescue(tmp_path).bring_home(bench.ledger)
    assert read(bench, job_id).state is JobState.GENERATING
    assert read(bench, job_id).task_id == "T"
    assert files(tmp_path) == []


def test_a_task_is_adopted_even_if_its_attempt_was_given_up(bench: Bench, tmp_path: Path) -> None:
    job_id, grant = bench.sending()
    bench.ledger.jobs.doubt(job_id, grant.attempt, {"cause": "lease"}, grace=0.0)
    kept(tmp_path, Outcome(job_id, grant.attempt, "accepted", ("T",), delay=2.0))
    Rescue(tmp_path).bring_home(bench.ledger)
    assert read(bench, job_id).task_id == "T"


@pytest.mark.parametrize("given_up", [False, True])
def test_a_doubt_is_brought_home_with_what_may_be_its_task(
    bench: Bench, tmp_path: Path, given_up: bool
) -> None:
    job_id, grant = bench.sending()
    if given_up:
        bench.ledger.jobs.doubt(job_id, grant.attempt, {"cause": "lease"}, grace=0.0)
    kept(tmp_path, Outcome(job_id, grant.attempt, "doubt", ("T",), grace=9.0))
    Rescue(tmp_path).bring_home(bench.ledger)
    assert [task.task_id for task in read(bench, job_id).tasks] == ["T"]


def test_a_refused_request_is_sent_again(bench: Bench, tmp_path: Path) -> None:
    job_id, grant = bench.sending()
    kept(tmp_path, Outcome(job_id, grant.attempt, "refused", delay=1.0))
    Rescue(tmp_path).bring_home(bench.ledger)
    assert read(bench, job_id).state is JobState.QUEUED


def test_the_same_file_brought_home_twice_changes_nothing(bench: Bench, tmp_path: Path) -> None:
    job_id, grant = bench.sending()
    outcome = Outcome(job_id, grant.attempt, "accepted", ("T",), delay=2.0)
    for _ in range(2):
        kept(tmp_path, outcome)
        Rescue(tmp_path).bring_home(bench.ledger)
    assert [task.task_id for task in read(bench, job_id).tasks] == ["T"]


def test_the_file_of_a_thread_that_still_tries_is_left_to_it(bench: Bench, tmp_path: Path) -> None:
    job_id, grant = bench.sending()
    outcome, rescue = Outcome(job_id, grant.attempt, "accepted", ("T",)), Rescue(tmp_path)
    rescue.keep(outcome)
    rescue.bring_home(bench.ledger)
    assert read(bench, job_id).state is JobState.SENDING
    rescue.give_up(outcome)
    rescue.bring_home(bench.ledger)
    assert read(bench, job_id).state is JobState.GENERATING


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"version": 2}',
        '{"version": 1, "job": "J", "attempt": 1, "what": "sold", "tasks": []}',
        '{"version": 1, "job": "J", "attempt": -1, "what": "accepted", "tasks": ["T"]}',
        '{"version": 1, "job": "J", "attempt": 1.5, "what": "accepted", "tasks": ["T"]}',
        '{"version": 1, "job": "J", "attempt": 1, "what": "accepted", "tasks": ["T"], "delay": NaN}',
    ],
)
def test_a_file_that_cannot_be_read_is_left_and_told_once(
    bench: Bench, tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    odd = tmp_path / f"a{SUFFIX}"
    odd.write_text(text)
    job_id, grant = bench.sending()
    kept(tmp_path, Outcome(job_id, grant.attempt, "accepted", ("T",)))
    rescue = Rescue(tmp_path)
    for _ in range(3):
        rescue.bring_home(bench.ledger)
    assert files(tmp_path) == [odd]
    assert [each.levelno for each in caplog.records if str(odd) in each.getMessage()] == [logging.ERROR]


def test_a_job_that_the_ledger_does_not_know_keeps_its_file(
    bench: Bench, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = kept(tmp_path, Outcome("nobody", 1, "accepted", ("T",)))
    Rescue(tmp_path).bring_home(bench.ledger)
    assert files(tmp_path) == [path]
    assert "unknown_job" in caplog.text


@pytest.mark.parametrize("what", ["refused", "doubt"])
def test_an_outcome_of_another_fleet_keeps_its_file(bench: Bench, tmp_path: Path, what: Any) -> None:
    path = kept(tmp_path, Outcome("of another fleet", 1, what, ("T",)))
    Rescue(tmp_path).bring_home(bench.ledger)
    assert files(tmp_path) == [path]


def test_a_pipe_in_the_folder_stops_nobody(
    bench: Bench, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    os.mkfifo(tmp_path / f"a{SUFFIX}")
    reader = threading.Thread(target=Rescue(tmp_path).bring_home, args=[bench.ledger], daemon=True)
    reader.start()
    reader.join(10)
    assert not reader.is_alive()
    assert "no regular file" in caplog.text


def test_it_waits_for_a_redis_that_is_away(tmp_path: Path) -> None:
    path = kept(tmp_path, Outcome("job", 1, "accepted", ("T",)))
    with redis.Redis(port=1) as away, pytest.raises(StoreUnavailable):
        Rescue(tmp_path).bring_home(Ledger(away))
    assert files(tmp_path) == [path]


def test_a_folder_that_is_checked_is_made_and_left_empty(tmp_path: Path) -> None:
    Rescue(tmp_path / "new").check()
    Rescue(tmp_path / "new").check()
    assert (tmp_path / "new").is_dir()
    assert files(tmp_path / "new") == []


def test_a_folder_that_takes_no_file_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert Rescue(blocked / "folder").keep(Outcome("job", 1, "accepted", ("T",))) is None
    assert "LIMNER_RESCUE_FOLDER" in caplog.text
