"""Batches of polls on real processes: a stopping worker, and a separate result backend."""

import signal
import time
from collections.abc import Mapping

import redis
from celery.result import AsyncResult

from limner import Images, Limner
from limner.status import JobState
from sandbox.kie.server import SandboxProvider
from sandbox.local.fleet import LocalFleet
from sandbox.local.valkey import EmbeddedValkey
from tests.conftest import eventually
from tests.integration.fleet.conftest import ROOMY, plain_celery, quick_provider
from worker.services import LEASE_MARGIN

WAIT = 60.0
JOBS = 40
SLOW: Mapping[str, str] = {
    **ROOMY,
    # Two messages of polls run, and the others wait, in the worker and in the broker.
    "LIMNER_CONCURRENCY": "2",
    # A lease outlasts this test, so that polls do not return by expiry instead of being given back.
    "LIMNER_REQUEST_TIMEOUT_SECONDS": "60",
}


def reads(provider: SandboxProvider, outcome: str | None = None) -> int:
    """The number of polls that have reached the provider, or of those with an outcome."""
    calls = [call for call in provider.calls() if call["endpoint"] == "recordInfo"]
    return sum(outcome in (None, call["outcome"]) for call in calls)


def test_a_stopping_worker_gives_back_its_waiting_polls() -> None:
    with (
        LocalFleet(settings=SLOW, provider=quick_provider(read_latency=3.0)) as fleet,
        Limner(fleet.redis_url) as limner,
    ):
        provider = fleet.provider
        assert provider
        jobs = limner.submit_many(f"slow to tell {number}" for number in range(JOBS))
        # Both threads have sent polls that are not answered yet.
        eventually(lambda: reads(provider) >= 9 and provider.summary()["created"] == JOBS)
        states = [job.status().state for job in jobs]
        assert states.count(JobState.GENERATING) > 16, states
        worker = fleet.workers[0]
        worker.child.signal(signal.SIGTERM)
        assert worker.child.wait(30) == 0
        assert "given back" in worker.log.read_text()
        left = [job for job in jobs if job.status().state is JobState.GENERATING]
        # The polls on the wire were finished, and no other was begun.
        assert 0 < len(left) < JOBS
        began = time.monotonic()
        fleet.start_worker(settings={"LIMNER_CONCURRENCY": "8"})
        for job in jobs:
            assert job.result(WAIT).urls
        assert time.monotonic() - began < float(SLOW["LIMNER_REQUEST_TIMEOUT_SECONDS"]) + LEASE_MARGIN - 10
        summary = provider.summary()
        assert summary["created"] == JOBS
        assert summary["bought_more_than_once"] == 0
        assert {job.status().attempts for job in jobs} == {1}


def test_results_in_another_database_are_stored_only_there() -> None:
    with EmbeddedValkey() as valkey:
        elsewhere = valkey.url.removesuffix("/0") + "/1"
        settings = {**ROOMY, "LIMNER_REDIS_URL": valkey.url, "LIMNER_RESULT_URL": elsewhere}
        with (
            LocalFleet(settings=settings, provider=quick_provider()) as fleet,
            Limner(fleet.redis_url) as limner,
            redis.Redis.from_url(valkey.url) as client,
        ):
            job = limner.submit("a gull")
            images = job.result(WAIT)
            app = plain_celery(fleet.redis_url)
            app.conf.update(result_backend=elsewhere)
            assert Images.model_validate(AsyncResult(job.id, app=app).get(timeout=WAIT)) == images
            assert client.keys("celery-task-meta-*") == []
            eventually(lambda: job.status().next_step_at is None)
