"""The heartbeat and its reader."""

import os
import subprocess
import sys
from pathlib import Path

from worker.health.__main__ import LOST, STALE, STALE_LOST, verdict
from worker.health.heartbeat import BEAT, STILL, beat


def test_a_fresh_heartbeat_is_healthy(tmp_path: Path) -> None:
    heartbeat = tmp_path / "heart"
    beat(heartbeat)
    assert verdict(heartbeat, heartbeat.stat().st_mtime + STALE) is None


def test_a_stale_or_missing_heartbeat_is_reported(tmp_path: Path) -> None:
    heartbeat = tmp_path / "heart"
    beat(heartbeat)
    assert "hangs" in str(verdict(heartbeat, heartbeat.stat().st_mtime + STALE + 1))
    assert "no heartbeat" in str(verdict(tmp_path / "none", 0.0))


def test_a_standstill_is_seen_within_half_a_minute() -> None:
    assert max(STALE, STILL) + BEAT <= 30


def test_a_worker_that_looks_for_its_broker_has_the_time_of_its_longest_pause(tmp_path: Path) -> None:
    heartbeat = tmp_path / "heart"
    beat(heartbeat, LOST)
    at = heartbeat.stat().st_mtime
    assert verdict(heartbeat, at + STALE_LOST) is None
    assert "lost its broker" in str(verdict(heartbeat, at + STALE_LOST + 1))


def test_a_worker_that_says_a_fault_is_not_healthy(tmp_path: Path) -> None:
    heartbeat = tmp_path / "heart"
    beat(heartbeat, "its dispatcher has ended")
    assert verdict(heartbeat, heartbeat.stat().st_mtime) == "the worker runs, and its dispatcher has ended"


def test_a_beat_renews_an_old_heartbeat(tmp_path: Path) -> None:
    heartbeat = tmp_path / "heart"
    beat(heartbeat, "its dispatcher has ended")
    os.utime(heartbeat, (0, 0))
    beat(heartbeat)
    assert verdict(heartbeat, heartbeat.stat().st_mtime) is None


def test_the_check_does_not_load_celery() -> None:
    code = "import sys, worker.health.__main__; sys.exit('celery' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
