"""Outages: a Redis that is down, frozen or misconfigured, and workers that are stopped or killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from celery.result import AsyncResult

from limner import Limner, errors
from limner.ledger import Ledger
from limner.ledger.layout.constants import VERSION
from sandbox.local.fleet import LocalFleet
from sandbox.local.valkey import EmbeddedValkey
from tests.conftest import eventually
from tests.integration.fleet.conftest import ROOMY, plain_celery, quick_provider, send_step
from tests.repository import ROOT

WAIT = 60.0


def durable() -> EmbeddedValkey:
    return EmbeddedValkey(aof=True, appendfsync="always")


def in_state(limner: Limner, job_id: str, state: str) -> bool:
    return limner.get(job_id).status().state == state


def test_a_busy_worker_survives_outages_of_redis() -> None:
    # With kombu 5.7.0 and without our transport, the worker always exits with an AttributeError.
    with LocalFleet(settings=ROOMY, provider=quick_provider(), valkey=durable()) as fleet:
        assert fleet.provider
        assert fleet.valkey
        with Limner(fleet.redis_url) as limner:
            jobs = limner.submit_many(f"boat {number}" for number in range(400))
            for outage in range(2):
                eventually(lambda: fleet.provider.summary()["created"] >= 60 * (outage + 1))  # type: ignore[union-attr] # noqa: B023
                fleet.valkey.kill()
                time.sleep(1.0)
                fleet.valkey.restart()
            for job in jobs:
                assert job.result(WAIT * 2).urls
        fleet.check()
        assert fleet.provider.summary()["bought_more_than_once"] == 0
        assert fleet.provider.summary()["created"] == 400


def test_a_frozen_redis_blocks_neither_producer_nor_worker() -> None:
    with LocalFleet(settings=ROOMY, provider=quick_provider()) as fleet:
        assert fleet.valkey
        with Limner(fleet.redis_url, timeout=0.5) as limner:
            job = limner.submit("before")
            fleet.valkey.pause()
            began = time.monotonic()
            for call in (lambda: limner.submit("frozen"), job.status, lambda: job.result(2)):
                with pytest.raises(errors.StoreUnavailable, match="LIMNER_REDIS_URL"):
                    call()
            assert time.monotonic() - began < 10.0
            time.sleep(3.0)  # longer than the worker's own time-out for Redis
            fleet.valkey.resume()
            assert job.result(WAIT).urls
            assert limner.submit("after").result(WAIT).urls
        fleet.check()


def test_a_failed_store_of_a_result_is_retried() -> None:
    with (
        EmbeddedValkey() as results,
        LocalFleet(settings={**ROOMY, "LIMNER_RESULT_URL": results.url}, provider=quick_provider()) as fleet,
        Limner(fleet.redis_url) as limner,
    ):
        results.pause()
        job = limner.submit("a gull")
        assert job.result(WAIT).urls
        results.resume()
        app = plain_celery(fleet.redis_url)
        app.conf.update(result_backend=results.url)
        assert AsyncResult(job.id, app=app).get(timeout=WAIT)["job_id"] == job.id


def test_a_stopping_worker_finishes_its_current_request() -> None:
    with (
        LocalFleet(settings=ROOMY, provider=quick_provider()) as fleet,
        Limner(fleet.redis_url) as limner,
    ):
        assert fleet.provider
        fleet.provider.faults(slow_answer={"next": 1, "seconds": 2})
        job = limner.submit("nearly there")
        eventually(lambda: fleet.provider.summary()["created"] == 1)  # type: ignore[union-attr]
        fleet.workers[0].child.signal(signal.SIGTERM)
        assert fleet.workers[0].child.wait(20) == 0
        assert in_state(limner, job.id, "generating")
        fleet.start_worker()
        assert job.result(WAIT).urls


def test_a_killed_attempt_ends_in_doubt_and_is_not_resent() -> None:
    with (
        LocalFleet(workers=2, settings=ROOMY, provider=quick_provider()) as fleet,
        Limner(fleet.redis_url) as limner,
    ):
        assert fleet.provider
        fleet.provider.faults(slow_answer={"next": 1, "seconds": 60})
        job = limner.submit("cut off")
        eventually(lambda: fleet.provider.summary()["created"] == 1)  # type: ignore[union-attr]
        fleet.kill_worker(0)
        fleet.kill_worker(1)
        fleet.start_worker()
        with pytest.raises(errors.InDoubt, match="vanished"):
            job.result(WAIT)
        assert len(fleet.provider.ledger(prompt="cut off")) == 1


def test_a_job_submitted_without_a_worker_is_done_when_one_starts() -> None:
    with (
        LocalFleet(workers=0, settings=ROOMY, provider=quick_provider()) as fleet,
        Limner(fleet.redis_url) as limner,
    ):
        job = limner.submit("patience")
        assert job.status().position == 1
        fleet.start_worker()
        assert job.result(WAIT).urls


def test_a_stale_message_does_nothing() -> None:
    with LocalFleet(settings=ROOMY, provider=quick_provider()) as fleet, Limner(fleet.redis_url) as limner:
        assert fleet.provider
        job = limner.submit("once")
        assert job.result(WAIT).urls
        for lease in (1, 2, 3, 99):
            for name in ("limner.create_task", "limner.recover"):
                send_step(fleet.redis_url, name, job.id, job.id, lease)
            send_step(fleet.redis_url, "limner.check_status", job.id, [[job.id, lease]])
        marker = limner.submit("marker")
        assert marker.result(WAIT).urls
        assert fleet.provider.summary()["created"] == 2
        assert job.status().state == "succeeded"


# Startup


def start_worker(environment: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run a worker that is expected to end by itself."""
    command = [sys.executable, "-m", "celery", "-A", "worker", "worker", "--without-mingle"]
    clean = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(
        command, env=clean, cwd="/", capture_output=True, text=True, timeout=60, check=False
    )


def test_a_worker_without_a_key_reports_the_missing_setting(valkey_url: str) -> None:
    ended = start_worker({"LIMNER_REDIS_URL": valkey_url})
    assert ended.returncode == 1
    assert "LIMNER_API_KEY: not set" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_worker_names_all_invalid_settings(valkey_url: str) -> None:
    ended = start_worker({"LIMNER_API_URL": "ftp://x", "LIMNER_RATE_REQUESTS": "0"})
    assert ended.returncode == 1
    for name in ("LIMNER_REDIS_URL: not set", "LIMNER_API_URL:", "LIMNER_RATE_REQUESTS:"):
        assert name in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_worker_refuses_a_ledger_of_before_and_says_how_to_drain_it() -> None:
    import redis

    with EmbeddedValkey(aof=True) as valkey, redis.Redis.from_url(valkey.url) as client:
        client.sadd("limner:{main}:accounts", "main")
        ended = start_worker({"LIMNER_REDIS_URL": valkey.url, "LIMNER_API_KEY": "k"})
    assert ended.returncode == 1
    assert f"the ledger has layout of before 5, known is {VERSION}" in ended.stderr
    assert "let workers of the version that wrote it finish its jobs" in ended.stderr
    assert "docs/operations.md" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_worker_that_cannot_reach_redis_exits_with_a_clear_message() -> None:
    with EmbeddedValkey() as valkey:
        url = valkey.url
    ended = start_worker({"LIMNER_REDIS_URL": url, "LIMNER_API_KEY": "k"})
    assert ended.returncode == 1
    assert "LIMNER_REDIS_URL" in ended.stderr
    assert "cannot be reached" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert url.split(":")[2].split("@")[0] not in ended.stderr


def test_a_worker_warns_of_a_redis_that_can_lose_jobs() -> None:
    valkey = EmbeddedValkey(aof=False)
    with LocalFleet(workers=0, settings=ROOMY, provider=quick_provider(), valkey=valkey) as fleet:
        import redis

        with redis.Redis.from_url(fleet.redis_url) as client:
            client.config_set("maxmemory-policy", "allkeys-lru")
        log = fleet.start_worker().log.read_text()
    assert "appendonly no" in log
    assert "bought again" in log
    assert "allkeys-lru" in log


def test_a_producer_that_cannot_reach_redis_fails_quickly() -> None:
    with EmbeddedValkey() as valkey:
        url = valkey.url
    began = time.monotonic()
    with Limner(url, timeout=1.0) as limner, pytest.raises(errors.StoreUnavailable) as away:
        limner.submit("nobody home")
    assert time.monotonic() - began < 5.0
    assert "LIMNER_REDIS_URL" in str(away.value)
    assert url.split(":")[2].split("@")[0] not in str(away.value)


def test_a_worker_leaves_a_newer_record_alone() -> None:
    with LocalFleet(workers=0, settings=ROOMY, provider=quick_provider()) as fleet:
        import redis

        with Limner(fleet.redis_url) as limner, redis.Redis.from_url(fleet.redis_url) as client:
            job = limner.submit("from the future")
            ledger = Ledger(client)
            client.hset(ledger.jobs.key(job.id), "v", "99")
            # In the due index instead of the ready queue, as a newer version may have put it.
            client.zrem(ledger.prefix + "ready", job.id)
            client.zadd(ledger.prefix + "due", {job.id: 1})
            worker = fleet.start_worker()
            eventually(lambda: f"a job is left alone: job {job.id} has version 99" in worker.log.read_text())
            assert limner.submit("from today").result(WAIT).urls
            with pytest.raises(errors.RecordTooNew):
                job.status()
        fleet.check()


@pytest.mark.parametrize("service", ["worker", "beat"])
def test_the_celery_command_runs_from_a_bare_checkout(service: str) -> None:
    with EmbeddedValkey() as valkey:
        url = valkey.url
    celery = str(Path(sys.executable).with_name("celery"))
    # Without PYTHONPATH and without a key, the app is found and names the missing setting.
    environment = {"PATH": "/usr/bin:/bin", "LIMNER_REDIS_URL": url, "LIMNER_SCHEDULE_FILE": "/nowhere.toml"}
    ended = subprocess.run(
        [celery, "-A", "worker", service],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode != 0
    assert {"worker": "LIMNER_API_KEY", "beat": "/nowhere.toml"}[service] in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_poll_that_takes_longer_than_a_step_still_counts() -> None:
    settings = {**ROOMY, "LIMNER_REQUEST_TIMEOUT_SECONDS": "24", "LIMNER_JOB_DEADLINE_SECONDS": "10"}
    with (
        LocalFleet(settings=settings, provider=quick_provider(faults={"stuck": 1.0})) as fleet,
        Limner(fleet.redis_url) as limner,
    ):
        assert fleet.provider
        job = limner.submit("slow to tell")
        eventually(lambda: in_state(limner, job.id, "generating"))
        os.kill(fleet.provider.pid, signal.SIGSTOP)
        stopped = time.monotonic()
        try:
            # Longer than the lease of a step, and shorter than the time-out of a request.
            eventually(lambda: time.monotonic() > stopped + 22.0, within=30.0)
        finally:
            os.kill(fleet.provider.pid, signal.SIGCONT)
        with pytest.raises(errors.DeadlineExceeded):
            job.result(WAIT)


REFUSALS = {
    "full": ("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0"),
    "short of replicas": ("CONFIG SET min-replicas-to-write 1", "CONFIG SET min-replicas-to-write 0"),
    "demoted": ("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"),
}


@pytest.mark.parametrize("refusal", REFUSALS)
def test_an_answer_survives_a_redis_that_refuses_writes(refusal: str) -> None:
    begin, end = REFUSALS[refusal]
    with (
        LocalFleet(settings=ROOMY, provider=quick_provider()) as fleet,
        Limner(fleet.redis_url) as limner,
    ):
        assert fleet.provider
        import redis

        with redis.Redis.from_url(fleet.redis_url) as client:
            fleet.provider.faults(slow_answer={"next": 1, "seconds": 2})
            job = limner.submit("paid for")
            eventually(lambda: fleet.provider.summary()["created"] == 1)  # type: ignore[union-attr]
            client.execute_command(*begin.split())
            time.sleep(4.0)  # the answer arrives meanwhile, and cannot be recorded
            client.execute_command(*end.split())
        assert job.result(WAIT).urls
        fleet.check()
        assert fleet.provider.summary()["created"] == 1
