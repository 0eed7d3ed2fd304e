"""The example of a user's Celery app, with its own worker and a real fleet."""

import os
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from examples import celery_app
from limner import Limner
from sandbox.local.fleet import CHECKOUT, LocalFleet
from sandbox.processes.checkout import with_checkout
from sandbox.processes.children import Child
from tests.conftest import eventually
from tests.integration.docs.pages import blocks, read
from tests.integration.fleet.conftest import ROOMY, quick_provider

WAIT = 60.0


@pytest.fixture(scope="module")
def fleet() -> Iterator[LocalFleet]:
    with LocalFleet(settings=ROOMY, provider=quick_provider()) as running:
        celery_app.app.conf.update(broker_url=running.redis_url, result_backend=running.redis_url)
        yield running


@pytest.fixture(scope="module", autouse=True)
def worker(fleet: LocalFleet) -> Iterator[Child]:
    """The app's own worker, with default settings."""
    with (fleet.log_dir / "shop.log").open("wb") as output:
        child = Child(
            [sys.executable, "-m", "celery", "-A", "examples.celery_app", "worker"],
            output=output,
            env=with_checkout({**os.environ, "LIMNER_REDIS_URL": fleet.redis_url}),
            cwd=CHECKOUT,
        )
    yield child
    child.kill()


def result_of(task_id: str) -> Any:
    return celery_app.app.AsyncResult(task_id).get(timeout=WAIT)


def test_an_ordered_image_is_published(fleet: LocalFleet) -> None:
    job_id, published = celery_app.order("robot", "a tin robot")
    url = result_of(job_id)["urls"][0]
    assert job_id == "shop-robot"
    assert result_of(published) == f"robot: {url}"
    assert celery_app.outcome(published) == {"state": "succeeded", "result": f"robot: {url}"}


def test_an_album_has_the_images_of_all_its_jobs() -> None:
    title, *urls = result_of(celery_app.album("toys", ["a tin robot", "a kite", "a top"]))
    assert title == "toys"
    assert len(urls) == 3


def test_a_failed_order_is_apologised_for_and_not_published(fleet: LocalFleet) -> None:
    assert fleet.provider
    fleet.provider.faults(task_fail={"next": 1, "variant": "moderation"})
    job_id, published = celery_app.order("ray", "a ray gun")
    sorry, said = result_of("sorry-ray").split(": ", 1)
    assert sorry == "Sorry"
    failed = {"state": "failed", "error": "ModerationRefused", "said": said}
    assert celery_app.outcome(job_id) == failed
    assert celery_app.outcome(published) == failed


def test_the_same_order_twice_is_one_job(fleet: LocalFleet) -> None:
    assert fleet.provider
    fleet.provider.reset()
    first, second = (celery_app.order("boat", "a paper boat") for _ in range(2))
    assert first[0] == second[0]
    assert result_of(first[1]).startswith("boat: ")
    assert result_of(second[0])["urls"]
    assert fleet.provider.summary()["created"] == 1


def test_the_app_neither_takes_nor_leaves_messages_of_the_fleet(fleet: LocalFleet, worker: Child) -> None:
    with redis.Redis.from_url(fleet.redis_url) as client, Limner(fleet.redis_url) as limner:
        assert limner.submit("a kite").result(WAIT).urls
        eventually(lambda: not client.exists("limner", "limner.steps", "celery"))
    assert worker.running
    assert "unregistered" not in (fleet.log_dir / "shop.log").read_text()
    assert "unregistered" not in fleet.workers[0].log.read_text()


def test_the_page_shows_lines_of_the_example() -> None:
    code = " ".join((CHECKOUT / "examples" / "celery_app.py").read_text().split())
    shown = [block.text for block in blocks(read("docs/celery.md")) if "celery_app" in (block.not_run or "")]
    assert shown
    assert [text for text in shown if " ".join(text.split()) not in code] == []
