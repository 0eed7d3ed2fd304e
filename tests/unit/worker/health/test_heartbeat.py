"""The heart beats from within the consumer's own loop, from one connection to the next, and says faults."""

import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from kombu.asynchronous.timer import Timer

from worker.health.__main__ import LOST
from worker.health.heartbeat import HeartbeatStep

QUEUES = ("limner", "limner.steps")


@pytest.fixture
def timer() -> Iterator[Timer]:
    made = Timer()
    yield made
    made.clear()


def consumer(timer: Timer, path: Path, *, queues: tuple[str, ...] = QUEUES, dispatcher: Any = None) -> Any:
    """As much of Celery's consumer as the step sees."""
    settings = SimpleNamespace(
        heartbeat_file=path,
        steps_queue="limner.steps",
        copies_queue="limner.copies",
        redis_timeout_seconds=5.0,
    )
    return SimpleNamespace(
        hub=None,
        timer=timer,
        app=SimpleNamespace(settings=settings, dispatcher=dispatcher),
        task_consumer=SimpleNamespace(channel=None, queues=[SimpleNamespace(name=name) for name in queues]),
    )


def due(timer: Timer) -> list[Any]:
    return [entry for _, _, entry in timer.queue if not entry.canceled]


def test_the_first_beat_comes_with_the_connection(timer: Timer, tmp_path: Path) -> None:
    parent = consumer(timer, tmp_path / "heart")
    HeartbeatStep(parent).start(parent)
    assert (tmp_path / "heart").read_text() == ""


def test_the_loop_beats_again_and_again(timer: Timer, tmp_path: Path) -> None:
    path = tmp_path / "heart"
    parent = consumer(timer, path)
    HeartbeatStep(parent).start(parent)
    os.utime(path, (0, 0))
    [entry] = due(timer)
    entry()
    assert path.stat().st_mtime > 0


def test_without_a_connection_the_heart_stands_still(timer: Timer, tmp_path: Path) -> None:
    parent = consumer(timer, tmp_path / "heart")
    step = HeartbeatStep(parent)
    step.start(parent)
    step.stop(parent)
    assert due(timer) == []
    assert (tmp_path / "heart").read_text() == LOST
    step.shutdown(parent)


def test_a_new_connection_starts_it_again(timer: Timer, tmp_path: Path) -> None:
    parent = consumer(timer, tmp_path / "heart")
    step = HeartbeatStep(parent)
    step.start(parent)
    step.stop(parent)
    step.start(parent)
    assert len(due(timer)) == 1
    assert (tmp_path / "heart").read_text() == ""


def test_a_worker_that_does_not_read_the_steps_says_so(
    timer: Timer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    parent = consumer(timer, tmp_path / "heart", queues=("limner",))
    HeartbeatStep(parent).start(parent)
    [said] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert "limner.steps" in said.getMessage()
    assert "limner.steps" in (tmp_path / "heart").read_text()


def test_a_worker_may_read_copies_alone(timer: Timer, tmp_path: Path) -> None:
    parent = consumer(timer, tmp_path / "heart", queues=("limner.copies",))
    HeartbeatStep(parent).start(parent)
    assert (tmp_path / "heart").read_text() == ""


def test_the_fault_of_the_dispatcher_is_said(timer: Timer, tmp_path: Path) -> None:
    dispatcher = SimpleNamespace(fault=lambda still: f"the dispatcher is stiller than {still:.0f} s")
    parent = consumer(timer, tmp_path / "heart", dispatcher=dispatcher)
    HeartbeatStep(parent).start(parent)
    assert (tmp_path / "heart").read_text() == "the dispatcher is stiller than 20 s"


def test_a_file_that_cannot_be_written_does_not_end_the_loop(
    timer: Timer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    parent = consumer(timer, tmp_path / "no folder" / "heart")
    HeartbeatStep(parent).start(parent)
    assert len(due(timer)) == 1
    assert "LIMNER_HEARTBEAT_FILE" in caplog.text
