"""A fleet of real processes with a quick provider, shared by the tests of a module."""

import json
from collections.abc import Iterator

import pytest
from celery import Celery
from kombu import Producer

from limner import Limner
from limner._redis import connect
from limner.ledger import Ledger
from sandbox.kie.server import SandboxProvider
from sandbox.local.fleet import LocalFleet
from tests.growth import unbounded
from worker.inspection import STEP
from worker.marks import Marks

# High limits: these tests are about the outcome of a job, not about its turn.
ROOMY = {
    "LIMNER_RATE_REQUESTS": "10000",
    "LIMNER_READS_PER_SECOND": "1000",
    "LIMNER_MAX_IN_FLIGHT": "500",
    "LIMNER_BACKOFF_SECONDS": "0.2",
    "LIMNER_PAUSE_SECONDS": "0.2",
    "LIMNER_USUAL_SECONDS": '{"TURBO": 0.5, "BALANCED": 0.5, "QUALITY": 0.5}',
    "LIMNER_PAUSE_MAX_SECONDS": "1",
    "LIMNER_IMAGES_SECONDS": "1",
    "LIMNER_REQUEST_TIMEOUT_SECONDS": "3",
    "LIMNER_REDIS_TIMEOUT_SECONDS": "2",
}


def quick_provider(**options: object) -> SandboxProvider:
    """A stand-in without limits whose tasks take a tenth of a second."""
    return SandboxProvider(**{"duration": 0.1, "creates": 0, "reads": 0, **options})  # type: ignore[arg-type]


def plain_celery(redis_url: str) -> Celery:
    """A Celery app without any of our code."""
    app = Celery("backend", broker=redis_url, backend=redis_url)
    app.conf.broker_connection_retry_on_startup = True
    return app


def send_step(redis_url: str, task: str, task_id: str, *arguments: object, **options: object) -> None:
    """Send a step as the dispatcher does, with the fleet's mark."""
    marks = Marks()
    with connect(redis_url) as client:
        marks.renew(Ledger(client).letters.fleet_key)
    body = json.dumps([arguments, options, {}]).encode()
    headers = {"lang": "py", "task": task, "id": task_id, STEP: marks.of(task, task_id, body)}
    with plain_celery(redis_url) as app, app.connection_for_write() as connection:
        Producer(connection.channel()).publish(
            body,
            exchange="",
            routing_key="limner.steps",
            content_type="application/json",
            content_encoding="utf-8",
            headers=headers,
        )


@pytest.fixture(scope="module")
def fleet() -> Iterator[LocalFleet]:
    with LocalFleet(settings=ROOMY, provider=quick_provider()) as running:
        yield running
        with connect(running.redis_url) as client:
            assert unbounded(client, Ledger(client).prefix) == []


@pytest.fixture
def limner(fleet: LocalFleet) -> Iterator[Limner]:
    assert fleet.provider
    fleet.provider.reset()
    with Limner(fleet.redis_url) as producer:
        yield producer
