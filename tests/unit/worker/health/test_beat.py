"""The health check of beat."""

import os
import subprocess
import sys
from pathlib import Path

from worker.health.beat import LOOK, STALE, beat_file, verdict


def test_a_beat_that_has_just_looked_is_healthy(tmp_path: Path) -> None:
    file = tmp_path / "beat"
    file.touch()
    assert verdict(file, file.stat().st_mtime + STALE) is None


def test_a_beat_that_has_not_looked_for_long_is_not(tmp_path: Path) -> None:
    file = tmp_path / "beat"
    file.touch()
    assert "for 31 s: it hangs, or Redis is away" in str(verdict(file, file.stat().st_mtime + STALE + 1))
    assert f"there is no {tmp_path / 'none'}" in str(verdict(tmp_path / "none", 0.0))


def test_a_beat_that_is_well_looks_several_times_before_it_counts_as_stalled() -> None:
    assert 3 * LOOK < STALE


def test_beat_and_a_worker_on_one_machine_have_a_file_each() -> None:
    assert beat_file(Path("/run/heart")) == Path("/run/heart-beat")


def test_the_check_reads_the_file_beside_the_heartbeat(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "LIMNER_HEARTBEAT_FILE": str(tmp_path / "heart"),
        "LIMNER_REDIS_URL": "redis://x",
    }
    check = [sys.executable, "-m", "worker.health.beat"]

    def outcome() -> int:
        return subprocess.run(check, env=environment, check=False).returncode

    (tmp_path / "heart").touch()
    assert outcome() == 1
    (tmp_path / "heart-beat").touch()
    assert outcome() == 0


def test_the_check_does_not_load_celery() -> None:
    code = "import sys, worker.health.beat; sys.exit('celery' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
