"""``make demo``, as a user starts and stops it."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.kie.server import SandboxProvider
from sandbox.local.fleet import CHECKOUT
from tests.processes import MARK, running_for, wait_until


class Demo:
    """A run of the demo with its own temporary folder."""

    def __init__(self, folder: Path, *arguments: str, **settings: str) -> None:
        self.folder = folder
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self.sheet = folder / "sheet.html"
        self.log = folder / "demo.log"
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "examples.demo", "--out", str(self.sheet), *arguments],
                cwd=CHECKOUT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={
                    **os.environ,
                    "LIMNER_API_KEY": "",  # a developer's own key would spend credits
                    "LIMNER_REDIS_URL": "",
                    MARK: str(folder),
                    "TMPDIR": str(self.temporary),
                    "COLUMNS": "200",
                    **settings,
                },
            )

    @property
    def output(self) -> str:
        return self.log.read_text()

    def ended(self) -> int:
        return self.process.wait(100)

    def wait_for(self, word: str) -> None:
        wait_until(lambda: word in self.output or self.process.poll() is not None, 60)
        assert word in self.output

    def left_behind(self) -> list[object]:
        return [*running_for(self.folder), *self.temporary.iterdir()]


def test_the_demo_shows_every_kind_of_job_and_leaves_nothing_behind(tmp_path: Path) -> None:
    demo = Demo(tmp_path)
    assert demo.ended() == 0, demo.output
    assert "attempt 2" in demo.output
    assert "ModerationRefused: The task failed" in demo.output
    page = demo.sheet.read_text()
    assert page.count('<img src="data:image/png;base64,') >= 15
    assert "by&nbsp;plain&nbsp;Celery" in page
    assert "by&nbsp;the&nbsp;schedule" in page
    assert not re.search(r'(src|href)="http', page)  # the page needs no other file
    assert demo.left_behind() == []


@pytest.mark.parametrize(
    ("number", "moment"),
    [(signal.SIGINT, "Starting"), (signal.SIGTERM, "generating"), (signal.SIGINT, "succeeded")],
)
def test_a_signal_stops_the_whole_demo(tmp_path: Path, number: signal.Signals, moment: str) -> None:
    demo = Demo(tmp_path)
    demo.wait_for(moment)
    demo.process.send_signal(number)
    assert demo.ended() == 128 + number, demo.output
    assert demo.left_behind() == []
    assert "Traceback" not in demo.output


def test_no_process_outlives_a_killed_demo(tmp_path: Path) -> None:
    demo = Demo(tmp_path)
    demo.wait_for("generating")
    demo.process.kill()
    demo.ended()
    wait_until(lambda: not running_for(tmp_path))


def test_the_demo_spends_no_credits_without_consent(tmp_path: Path) -> None:
    with SandboxProvider(speed=20) as provider:
        demo = Demo(tmp_path, LIMNER_API_KEY="sandbox-key", LIMNER_API_URL=provider.url)
        assert demo.ended() == 2
        assert "--yes" in demo.output
        assert provider.summary()["calls"] == {}


def test_with_a_key_and_yes_the_demo_buys_three_small_images(tmp_path: Path) -> None:
    with SandboxProvider(speed=20) as provider:
        demo = Demo(tmp_path, "--yes", LIMNER_API_KEY="sandbox-key", LIMNER_API_URL=provider.url)
        assert demo.ended() == 0, demo.output
        bought = [task["input"] for task in provider.ledger()]
        assert [(task["rendering_speed"], task["image_size"]) for task in bought] == [("TURBO", "square")] * 3
    assert demo.left_behind() == []
