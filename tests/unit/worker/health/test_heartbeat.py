"""The heart beats from within the consumer's own loop, from one connection to the next."""

import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from kombu.asynchronous.timer import Timer

from worker.health.heartbeat import HeartbeatStep


@pytest.fixture
def timer() -> Iterator[Timer]:
    made = Timer()
    yield made
    made.clear()


def consumer(timer: Timer, path: Path) -> Any:
    """As much of Celery's consumer as the step sees."""
    return SimpleNamespace(
        hub=None, timer=timer, app=SimpleNamespace(settings=SimpleNamespace(heartbeat_file=path))
    )


def due(timer: Timer) -> list[Any]:
    return [entry for _, _, entry in timer.queue if not entry.canceled]


def test_the_first_beat_comes_with_the_connection(timer: Timer, tmp_path: Path) -> None:
    parent = consumer(timer, tmp_path / "heart")
    HeartbeatStep(parent).start(parent)
    assert (tmp_path / "heart").exists()


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
    step.shutdown(parent)


def test_a_new_connection_starts_it_again(timer: Timer, tmp_path: Path) -> None:
    parent = consumer(timer, tmp_path / "heart")
    step = HeartbeatStep(parent)
    step.start(parent)
    step.stop(parent)
    step.start(parent)
    assert len(due(timer)) == 1
