"""The log of a worker, as an operator reads it."""

import re
import uuid
from pathlib import Path

from bench.long_run.rescue import held, jobs_of
from limner import Limner
from sandbox.local.fleet import LocalFleet
from tests.integration.fleet.conftest import ROOMY, quick_provider, send_step

WAIT = 60.0


def log_of_a_day(log_dir: Path, level: str) -> tuple[str, str]:
    """A job's id, and a worker's log of a successful job, a failing step and the shutdown."""
    with (
        LocalFleet(settings=ROOMY, provider=quick_provider(), log_dir=log_dir, log_level=level) as fleet,
        Limner(fleet.redis_url) as limner,
    ):
        log = fleet.workers[0].log
        send_step(fleet.redis_url, "limner.check_status", "nobody", [], nonsense=1)
        job = limner.submit(f"a quiet kite {uuid.uuid4()}")
        job.result(WAIT)
    return job.id, log.read_text()


def test_info_logs_two_lines_a_job_and_the_traceback_of_a_failure(tmp_path: Path) -> None:
    job_id, log = log_of_a_day(tmp_path, "INFO")
    lines = [line for line in log.splitlines() if job_id in line]
    assert len(lines) == 2, log
    assert f"job {job_id} attempt 1 on account main: Follow" in lines[0]
    assert f"job {job_id} succeeded with task" in lines[1]
    assert not re.search(r"\] received|succeeded in|HTTP Request", log), log
    assert "raised unexpected: TypeError" in log
    assert "Traceback (most recent call last)" in log


def test_debug_logs_each_step_in_the_form_that_the_long_run_reads(tmp_path: Path) -> None:
    job_id, log = log_of_a_day(tmp_path, "DEBUG")
    assert f"Task limner.create_task[create:{job_id}:1] received" in log
    assert f"Task limner.check_status[poll:{job_id}:2] succeeded in" in log
    assert jobs_of(f"poll:{job_id},{job_id}:2") == [job_id, job_id]
    assert jobs_of(job_id) == [job_id]
    assert list(held(tmp_path / "worker-1.log", 0.0)) == []
