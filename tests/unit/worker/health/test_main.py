"""The heartbeat and its reader."""

import os
import subprocess
import sys
from pathlib import Path

from worker.health.__main__ import STALE, verdict
from worker.health.heartbeat import touch


def test_a_fresh_heartbeat_is_healthy(tmp_path: Path) -> None:
    heartbeat = tmp_path / "heart"
    touch(heartbeat)
    assert verdict(heartbeat, heartbeat.stat().st_mtime + STALE) is None


def test_a_stale_or_missing_heartbeat_is_reported(tmp_path: Path) -> None:
    heartbeat = tmp_path / "heart"
    touch(heartbeat)
    assert "lost its broker" in str(verdict(heartbeat, heartbeat.stat().st_mtime + STALE + 1))
    assert "no heartbeat" in str(verdict(tmp_path / "none", 0.0))


def test_a_touch_renews_an_old_heartbeat(tmp_path: Path) -> None:
    heartbeat = tmp_path / "heart"
    touch(heartbeat)
    os.utime(heartbeat, (0, 0))
    touch(heartbeat)
    assert verdict(heartbeat, heartbeat.stat().st_mtime) is None


def test_the_check_does_not_load_celery() -> None:
    code = "import sys, worker.health; sys.exit('celery' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
