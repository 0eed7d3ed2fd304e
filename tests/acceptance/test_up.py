"""``make up``, as a user starts, uses and stops it."""

import os
import re
import signal
import socket
import stat
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from limner import Images, Limner
from sandbox.local.fleet import CHECKOUT
from tests.processes import MARK, running_for, wait_until


class Up:
    """A run of ``up`` in a folder."""

    def __init__(self, folder: Path, *arguments: str, **settings: str) -> None:
        self.folder = folder
        self.log = folder.with_name(f"{uuid.uuid4()}.log")
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "sandbox", "up", "--folder", str(folder), "--speed", "50", *arguments],
                cwd=CHECKOUT,
                stdout=output,
                stderr=output,
                env={
                    **os.environ,
                    "LIMNER_API_KEY": "",
                    "LIMNER_REDIS_URL": "",
                    MARK: str(folder),
                    **settings,
                },
            )

    @property
    def output(self) -> str:
        return self.log.read_text()

    def is_up(self) -> "Up":
        wait_until(lambda: "The fleet is up" in self.output or self.process.poll() is not None, 60)
        assert self.process.poll() is None, self.output
        return self

    @property
    def redis_url(self) -> str:
        match = re.search(r"LIMNER_REDIS_URL='(.+)'", self.output)
        assert match, self.output
        return match[1]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(40)


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Callable[..., Up]]:
    runs: list[Up] = []

    def start(*arguments: str, **settings: str) -> Up:
        runs.append(Up(tmp_path / "limner", *arguments, **settings))
        return runs[-1]

    yield start
    for run in runs:
        run.process.kill()
        run.process.wait(10)


def saved_copies(images: Images, copied_to: Path, folder: Path) -> list[Path]:
    """Save a job's images, which must come from their copies."""
    assert images.copied
    assert all(file.url.startswith(f"file://{copied_to}/") for file in images.files)
    return images.save(folder)


def test_jobs_and_the_url_outlive_a_restart(up: Callable[..., Up], tmp_path: Path) -> None:
    first = up().is_up()
    with Limner(first.redis_url) as limner:
        done = limner.submit("a red kite")
        images = done.result(timeout=60)
    assert f"Images are copied to file://{tmp_path}/limner/images\n" in first.output
    kept = [file.read_bytes() for file in saved_copies(images, first.folder / "images", tmp_path / "mine")]
    assert first.stop(signal.SIGINT) == 0, first.output
    assert running_for(first.folder) == []

    second = up("--workers", "2").is_up()
    assert second.redis_url == first.redis_url
    with Limner(second.redis_url) as limner:
        assert limner.get(done.id).result(timeout=5) == images
        # The stand-in has forgotten them.
        again = saved_copies(images, second.folder / "images", tmp_path / "mine again")
        assert [file.read_bytes() for file in again] == kept
    assert second.stop(signal.SIGTERM) == 0, second.output
    assert running_for(second.folder) == []
    assert "Traceback" not in first.output + second.output
    for secret in ("valkey.json", "up.lock"):
        assert stat.S_IMODE((tmp_path / "limner" / secret).stat().st_mode) == 0o600


def test_a_second_up_reports_the_running_fleet(up: Callable[..., Up]) -> None:
    first = up().is_up()
    second = up()
    assert second.process.wait(30) == 1
    assert str(first.process.pid) in second.output
    assert first.redis_url in second.output
    assert first.process.poll() is None


def test_with_a_key_no_stand_in_is_started(up: Callable[..., Up]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        run = up(LIMNER_API_KEY="made-up", LIMNER_API_URL=url).is_up()
    assert "the real provider" in run.output
    assert not [process for process in running_for(run.folder) if "provider" in process.cmdline()]


def test_a_dead_worker_stops_the_fleet_and_is_named(up: Callable[..., Up]) -> None:
    run = up().is_up()
    worker = next(process for process in running_for(run.folder) if "worker-1@%h" in process.cmdline())
    worker.kill()
    assert run.process.wait(40) == 1
    assert "worker-1 ended with status -9" in run.output
    assert running_for(run.folder) == []


def test_a_port_in_use_is_named(up: Callable[..., Up], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (tmp_path / "limner").mkdir()
        (tmp_path / "limner" / "valkey.json").write_text(f'{{"port": {port}, "password": "x"}}')
        run = up()
        assert run.process.wait(30) == 1
    assert f"Port {port}" in run.output
    assert "valkey.json" in run.output
