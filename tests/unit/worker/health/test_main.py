"""The heartbeat and its reader."""

import os
import subprocess
import sys
from pathlib import Path

from worker.health.__main__ import STALE, verdict
from worker.health.heartbeat import touch


def test_a_beating_heart_is_well(tmp_path: Path) -> None:
    heartbeat = tmp_path / "heart"
    touch(heartbeat)
    assert verdict(heartbeat, heartbeat.stat().st_mtime + STALE) is None


def test_a_heart_that_stopped_is_told(tmp_path: Path) -> None:
    heartbeat = tmp_path / "heart"
    touch(heartbeat)
    assert "lost its broker" in str(verdict(heartbeat, heartbeat.stat().st_mtime + STALE + 1))
    assert "no heartbeat" in str(verdict(tmp_path / "none", 0.0))


def test_a_beat_renews_an_old_file(tmp_path: Path) -> None:
    heartbeat = tmp_path / "heart"
    touch(heartbeat)
    os.utime(heartbeat, (0, 0))
    touch(heartbeat)
    assert verdict(heartbeat, heartbeat.stat().st_mtime) is None


def test_the_check_does_not_load_celery() -> None:
    code = "import sys, worker.health; sys.exit('celery' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
