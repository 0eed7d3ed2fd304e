"""Celery's features on plain messages: they concern the job, whatever happens to workers in between."""

import gc
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery, chain, chord, group, states
from celery.canvas import Signature
from celery.exceptions import AlwaysEagerIgnored, ChordError, NotRegistered
from kombu.serialization import register

from config import Settings
from limner import Limner, errors
from sandbox.local.fleet import CHECKOUT, LocalFleet
from sandbox.processes.checkout import with_checkout
from sandbox.processes.children import Child
from tests.conftest import eventually
from tests.crash.points import AT, TRAIL, Write, after, before
from tests.integration.fleet.conftest import ROOMY, plain_celery, quick_provider
from worker.application import build_app

WAIT = 60.0
QUEUE = "limner"


@dataclass
class Shop:
    """A producer, whose own worker runs in another process."""

    app: Celery
    client: "redis.Redis"

    def image(self, **parameters: Any) -> Signature[Any]:
        """The signature of a job."""
        return self.app.signature(
            "limner.create_task", kwargs={"prompt": "a fox", **parameters}, queue=QUEUE, immutable=True
        )

    def task(self, name: str, *arguments: Any) -> Signature[Any]:
        """The signature of a task of its own."""
        return self.app.signature(f"shop.{name}", args=arguments, queue="shop")

    def ran(self, name: str) -> list[list[Any]]:
        """The calls of a task of its own, each with its id."""
        return [json.loads(text) for text in self.client.lrange(f"shop:shop.{name}", 0, -1)]


@pytest.fixture(scope="module")
def fleet() -> Iterator[LocalFleet]:
    settings = {**ROOMY, "LIMNER_REMOTE_CONTROL": "true"}
    with LocalFleet(settings=settings, provider=quick_provider()) as running:
        yield running


@pytest.fixture(scope="module")
def worker(fleet: LocalFleet) -> Iterator[Child]:
    with neighbour(fleet) as running:
        yield running


class neighbour:  # noqa: N801 - used as a function
    """The shop's worker, while the block runs."""

    def __init__(self, fleet: LocalFleet) -> None:
        command = [
            "celery",
            "-A",
            "tests.integration.fleet.shop",
            "worker",
            "-Q",
            "shop,celery",
            "-l",
            "INFO",
        ]
        environment = with_checkout({**os.environ, "SHOP_REDIS": fleet.redis_url})
        log = (fleet.log_dir / "shop.log").open("ab")
        with log:
            self._child = Child([sys.executable, "-m", *command], output=log, env=environment, cwd=CHECKOUT)

    def __enter__(self) -> Child:
        return self._child

    def __exit__(self, *_: object) -> None:
        self._child.kill()


@pytest.fixture
def shop(fleet: LocalFleet, worker: Child) -> Iterator[Shop]:
    with redis.Redis.from_url(fleet.redis_url, decode_responses=True) as client:
        for key in client.scan_iter("shop:*"):
            client.delete(key)
        assert fleet.provider
        fleet.provider.reset()
        yield Shop(plain_celery(fleet.redis_url), client)
    # A result that nobody got to the end unsubscribes when it is collected, and needs its Redis for that.
    gc.collect()


def got(result: Any) -> Any:
    return result.get(timeout=WAIT)


def events(limner: Limner, job_id: str) -> list[str]:
    """The events of a job; none as long as its message is on the way."""
    try:
        return [entry.event for entry in limner.get(job_id).log()]
    except errors.UnknownJob:
        return []


def test_the_next_task_of_a_chain_gets_the_job_s_result(shop: Shop) -> None:
    result: Any = chain(
        shop.image(num_images=2), shop.task("publish", "a"), shop.task("announce")
    ).apply_async()
    assert got(result) == "announced a: 2"
    job = result.parent.parent
    [[task_id, job_id, urls, tag]] = shop.ran("publish")
    assert (task_id, job_id, tag) == (result.parent.id, job.id, "a")
    assert got(job)["urls"] == urls


def test_a_linked_task_runs_at_the_end_and_is_the_job_s_child(shop: Shop) -> None:
    links = [shop.task("publish", "one"), shop.task("publish", "two")]
    result: Any = shop.image().apply_async(link=links, link_error=shop.task("complain"))
    images = got(result)
    eventually(lambda: len(shop.ran("publish")) == 2)
    assert {tag for *_, tag in shop.ran("publish")} == {"one", "two"}
    assert {job_id for _, job_id, *_ in shop.ran("publish")} == {images["job_id"]}
    assert {child.id for part in result.children for child in part.children or [part]} == {
        task_id for task_id, *_ in shop.ran("publish")
    }
    assert shop.ran("complain") == []


def test_an_error_callback_runs_if_the_job_fails(fleet: LocalFleet, shop: Shop) -> None:
    assert fleet.provider
    fleet.provider.faults(task_fail={"next": 1, "variant": "moderation"})
    result: Any = shop.image().apply_async(
        link=shop.task("publish", "never"), link_error=shop.task("complain")
    )
    with pytest.raises(errors.ModerationRefused):
        got(result)
    eventually(lambda: shop.ran("complain"))
    assert [failed for _, failed in shop.ran("complain")] == [result.id]
    assert shop.ran("publish") == []


def test_a_chain_fails_with_its_job(fleet: LocalFleet, shop: Shop) -> None:
    assert fleet.provider
    fleet.provider.faults(task_fail={"next": 1, "variant": "moderation"})
    result: Any = chain(shop.image(), shop.task("publish", "never"), shop.task("announce")).apply_async()
    with pytest.raises(errors.ModerationRefused):
        got(result)
    assert shop.ran("publish") == []


def test_a_group_has_the_results_of_its_jobs(shop: Shop) -> None:
    result: Any = group(shop.image(num_images=number) for number in (1, 2, 3)).apply_async()
    assert [len(images["urls"]) for images in result.get(timeout=WAIT)] == [1, 2, 3]


def test_a_chord_gathers_jobs_and_other_tasks(shop: Shop) -> None:
    header = [shop.image(), shop.task("sketch", 7), shop.image()]
    result: Any = chord(header)(shop.task("gather", "album"))
    first, sketch, last = (member.id for member in result.parent.results)
    assert got(result) == [first, "sketch 7", last]
    assert shop.ran("gather") == [[result.id, [first, "sketch 7", last], "album"]]
    assert sketch not in (first, last)


def test_a_chord_fails_with_one_of_its_jobs(fleet: LocalFleet, shop: Shop) -> None:
    assert fleet.provider
    fleet.provider.faults(task_fail={"next": 1, "variant": "moderation"})
    result: Any = chord([shop.image(), shop.image()])(shop.task("gather", "album"))
    with pytest.raises(errors.ModerationRefused):
        got(result)
    eventually(lambda: result.state == states.FAILURE)
    assert isinstance(result.result, ChordError)
    assert shop.ran("gather") == []


def test_a_job_can_follow_jobs(fleet: LocalFleet, shop: Shop) -> None:
    assert fleet.provider
    made: Any = chord([shop.image(), shop.image()])(shop.image(num_images=3))
    assert len(got(made)["urls"]) == 3
    following: Any = chain(shop.image(), shop.image(num_images=2)).apply_async()
    assert len(got(following)["urls"]) == 2
    fleet.provider.faults(task_fail={"next": 1, "variant": "moderation"})
    failed: Any = chord([shop.image(), shop.image()])(shop.image(num_images=3))
    with pytest.raises((errors.ModerationRefused, ChordError)):
        got(failed)
    eventually(lambda: failed.state == states.FAILURE)


def test_a_refused_message_fails_what_is_linked_to_it(shop: Shop) -> None:
    result: Any = chain(shop.image(promt="a fox"), shop.task("publish", "never")).apply_async(
        link_error=shop.task("complain")
    )
    with pytest.raises(errors.InvalidRequest, match="promt"):
        got(result)


def test_a_linked_task_without_a_queue_goes_to_celery_s_default(shop: Shop) -> None:
    linked = shop.app.signature("shop.publish", args=("anywhere",))
    got(shop.image().apply_async(link=linked))
    eventually(lambda: shop.ran("publish"))


def test_a_message_that_comes_too_late_ends_as_expired(fleet: LocalFleet, shop: Shop) -> None:
    assert fleet.provider
    result: Any = shop.image().apply_async(
        expires=datetime.now(UTC) - timedelta(seconds=5), link_error=shop.task("complain")
    )
    with pytest.raises(errors.Expired):
        got(result)
    eventually(lambda: shop.ran("complain"))
    assert fleet.provider.summary()["created"] == 0


def test_a_job_that_waits_too_long_ends_as_expired(fleet: LocalFleet, shop: Shop) -> None:
    with Limner(fleet.redis_url) as limner:
        limner.pause(reason="a test")
        try:
            result: Any = shop.image().apply_async(expires=1.0)
            with pytest.raises(errors.Expired):
                got(result)
        finally:
            limner.resume()
    assert limner.get(result.id).status().state == "expired"


def test_a_countdown_is_the_job_s_start(fleet: LocalFleet, shop: Shop) -> None:
    began = datetime.now(UTC)
    result: Any = shop.image().apply_async(countdown=3.0)
    with Limner(fleet.redis_url) as limner:
        job = limner.get(result.id)
        eventually(lambda: events(limner, result.id))
        status = job.status()
        assert status.state == "queued"
        assert status.next_step_at
        assert 1.0 < (status.next_step_at - began).total_seconds() < 3.5
        # No message waits in the memory of a worker.
        assert shop.client.hlen("limner.unacked") == 0
        got(result)
        status = job.status()
        assert status.sent_at
        assert (status.sent_at - began).total_seconds() >= 2.9


def test_a_job_that_waits_for_its_start_can_be_revoked(fleet: LocalFleet, shop: Shop) -> None:
    result: Any = shop.image().apply_async(countdown=600.0, link_error=shop.task("complain"))
    with Limner(fleet.redis_url) as limner:
        eventually(lambda: events(limner, result.id))
    control(fleet).revoke([result.id, "somebody else's"])
    with pytest.raises(errors.Cancelled, match="before it was sent"):
        got(result)
    eventually(lambda: shop.ran("complain"))


def control(fleet: LocalFleet) -> Any:
    """The remote control of the fleet, which Flower's buttons use."""
    return build_app(Settings(redis_url=fleet.redis_url)).control


def test_the_late_result_of_a_revoked_job_is_collected() -> None:
    settings = {**ROOMY, "LIMNER_REMOTE_CONTROL": "true"}
    with (
        LocalFleet(settings=settings, provider=quick_provider(duration=3.0)) as fleet,
        Limner(fleet.redis_url) as limner,
    ):
        app = plain_celery(fleet.redis_url)
        result = app.send_task("limner.create_task", kwargs={"prompt": "a fox"}, queue=QUEUE)
        job = limner.get(result.id)
        eventually(lambda: "generating" in events(limner, result.id))
        control(fleet).terminate([result.id, "somebody else's"])
        with pytest.raises(errors.Cancelled, match="after it was sent"):
            got(result)
        eventually(lambda: job.status().tasks[0].state == "succeeded")
        assert "late_result" in events(limner, result.id)


def test_a_revoked_id_of_a_job_in_another_worker_does_no_harm(fleet: LocalFleet, shop: Shop) -> None:
    result: Any = shop.image().apply_async(countdown=2.0)
    # Workers hand the ids to each other that they have been told to revoke.
    control(fleet).broadcast("hello", arguments={"from_node": "a@b", "revoked": {result.id: time.time()}})
    assert got(result)["urls"]


def test_a_result_that_nobody_wants_is_not_stored(fleet: LocalFleet, shop: Shop) -> None:
    result: Any = shop.image().apply_async(ignore_result=True, link=shop.task("publish", "anyway"))
    assert result.get(timeout=1) is None
    with Limner(fleet.redis_url) as limner:
        eventually(lambda: events(limner, result.id))
        assert limner.get(result.id).result(WAIT).urls
    eventually(lambda: shop.ran("publish"))
    assert shop.client.exists(f"celery-task-meta-{result.id}") == 0


def test_a_message_of_protocol_1_means_the_same(fleet: LocalFleet, shop: Shop) -> None:
    shop.app.conf.task_protocol = 1
    result: Any = shop.image().apply_async(
        link=shop.task("publish", "old"), link_error=shop.task("complain"), countdown=1.0, expires=50.0
    )
    assert got(result)["urls"]
    eventually(lambda: shop.ran("publish"))


@pytest.mark.filterwarnings("ignore:Results are not stored:RuntimeWarning")
def test_an_eager_app_sends_jobs_all_the_same_and_runs_no_chain_of_them(shop: Shop) -> None:
    shop.app.conf.task_always_eager = True
    # Other tests of this process may have loaded the fleet's tasks, which no process of a user has.
    shop.app.finalize()
    shop.app.tasks.pop("limner.create_task", None)
    with pytest.warns(AlwaysEagerIgnored):
        sent = shop.app.send_task("limner.create_task", kwargs={"prompt": "a fox"}, queue=QUEUE)
    assert got(sent)["urls"]
    with pytest.warns(AlwaysEagerIgnored):
        assert got(shop.image().apply_async())["urls"]
    with pytest.raises(NotRegistered):
        chain(shop.image(), shop.task("publish", "never")).apply_async()


def test_a_task_can_put_a_job_in_its_own_place(shop: Shop) -> None:
    result: Any = chain(shop.task("imagine", "a fox"), shop.task("publish", "replaced")).apply_async()
    assert got(result) == "replaced: 1"


@pytest.mark.parametrize("serializer", ["pickle", "yaml", "msgpack"])
def test_a_message_that_cannot_be_read_is_answered(shop: Shop, serializer: str) -> None:
    if serializer == "msgpack":
        # The real one need not be installed: nobody decodes it.
        register("msgpack", json.dumps, None, "application/x-msgpack", "utf-8")
    result: Any = shop.image().apply_async(serializer=serializer)
    with pytest.raises(errors.InvalidRequest, match=r"JSON|json"):
        got(result)


@pytest.mark.parametrize("at", [before(Write.STORE_RESULT), after(Write.STORE_RESULT), after(Write.STORED)])
def test_what_is_linked_survives_the_death_of_the_worker(at: str, tmp_path: Path) -> None:
    trail = tmp_path / "trail"
    # So slow that all jobs are on the ledger when the first one ends. A message that a killed worker had only
    # taken comes again after the visibility timeout, which is five minutes.
    provider = quick_provider(duration=2)
    with (
        LocalFleet(workers=0, settings=ROOMY, provider=provider) as fleet,
        neighbour(fleet),
        redis.Redis.from_url(fleet.redis_url, decode_responses=True) as client,
    ):
        shop = Shop(plain_celery(fleet.redis_url), client)
        header = [shop.image(), shop.image()]
        album: Any = chord(header)(shop.task("gather", "album"))
        told: Any = chain(shop.image(), shop.task("publish", "told"), shop.task("announce")).apply_async()
        fleet.start_worker(
            settings={AT: at, TRAIL: str(trail)}, arguments=["-I", "tests.crash.points", "-c", "4"]
        )
        eventually(lambda: "struck" in trail.read_text())
        fleet.start_worker()
        assert got(told) == "announced told: 1"
        assert len(got(album)) == 2
        # A linked task may run twice, under the same id.
        assert {task_id for task_id, *_ in shop.ran("publish")} == {told.parent.id}
        assert {task_id for task_id, *_ in shop.ran("gather")} == {album.id}
        assert len(shop.ran("gather")) == 1
        assert fleet.provider
        assert fleet.provider.summary()["created"] == 3
