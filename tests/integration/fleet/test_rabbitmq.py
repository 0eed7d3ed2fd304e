"""A fleet whose broker is a real RabbitMQ, with its ledger and its results on Redis."""

import gc
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from uuid import uuid4

import amqp
import pytest
import redis
from celery import Celery, chain, chord
from celery.canvas import Signature
from kombu import Connection, Queue
from kombu.exceptions import OperationalError

from config import Settings
from limner import Limner, errors
from sandbox.local.fleet import CHECKOUT, LocalFleet
from sandbox.local.rabbitmq import LocalRabbitMQ, find_programs
from sandbox.processes.checkout import with_checkout
from sandbox.processes.children import Child
from tests.conftest import eventually
from tests.integration.fleet.conftest import ROOMY, quick_provider
from worker.application import build_app
from worker.health import rabbitmq_checks
from worker.health.findings import Finding, Verdict
from worker.rabbitmq.consumer import Consumer
from worker.rabbitmq.deliveries import MOST
from worker.rabbitmq.queues import FoundQueue

pytestmark = pytest.mark.skipif(
    find_programs() is None, reason="the package rabbitmq-server is not installed"
)

WAIT: Final = 60.0
QUEUE: Final = "limner"


@pytest.fixture(scope="module")
def node() -> Iterator[LocalRabbitMQ]:
    with LocalRabbitMQ() as running:
        yield running


@pytest.fixture(scope="module")
def fleet(node: LocalRabbitMQ) -> Iterator[LocalFleet]:
    settings = {**ROOMY, "LIMNER_BROKER_URL": node.url, "LIMNER_REMOTE_CONTROL": "true"}
    with LocalFleet(settings=settings, provider=quick_provider()) as running:
        yield running
        # A result that nobody got to the end unsubscribes when it is collected, and needs its Redis for that.
        gc.collect()


@pytest.fixture
def app(node: LocalRabbitMQ, fleet: LocalFleet) -> Celery:
    return plain(node, fleet)


def plain(node: LocalRabbitMQ, fleet: LocalFleet, **options: Any) -> Celery:
    """A producer without any of our code."""
    made = Celery("shop", broker=plain_url(node), backend=fleet.redis_url)
    made.conf.update(broker_connection_retry_on_startup=True, **options)
    return made


def plain_url(node: LocalRabbitMQ) -> str:
    """The node's URL for kombu's own transport, which has another name than the fleet's in this process."""
    return node.url.replace("amqp://", "pyamqp://")


@contextmanager
def channel_to(node: LocalRabbitMQ) -> Iterator[Any]:
    """A bare channel, as of a producer in any language."""
    with Connection(plain_url(node)) as connection:
        yield connection.default_channel


def image(app: Celery, **parameters: Any) -> Signature[Any]:
    """The signature of a job."""
    return app.signature(
        "limner.create_task", kwargs={"prompt": "a fox", **parameters}, queue=QUEUE, immutable=True
    )


def created(fleet: LocalFleet) -> int:
    assert fleet.provider
    return int(fleet.provider.summary()["created"])


def bought_once(fleet: LocalFleet) -> bool:
    assert fleet.provider
    return bool(fleet.provider.summary()["bought_more_than_once"] == 0)


def log_of(fleet: LocalFleet) -> str:
    return "\n".join(worker.log.read_text() for worker in fleet.workers)


def outages(fleet: LocalFleet) -> int:
    """The outages of the worker, once none lasts. Only the first error of one is told at once."""

    def begun() -> int:
        return log_of(fleet).count("an outage begins")

    eventually(lambda: begun() == log_of(fleet).count("the outage is over"), within=40.0)
    return begun()


def queues_of(node: LocalRabbitMQ) -> dict[str, str]:
    """The types of the queues, by name."""
    rows = node.control("list_queues", "name", "type", "--no-table-headers").splitlines()
    return dict(row.split() for row in rows if row)


def examined(settings: Settings) -> list[Finding]:
    """The doctor's findings about the broker."""
    return list(rabbitmq_checks.check_rabbitmq(settings, build_app(settings), "the node"))


# Jobs and messages


def test_a_job_runs_and_its_steps_are_in_quorum_queues(node: LocalRabbitMQ, limner: Limner) -> None:
    assert limner.submit("a red kite").result(WAIT).urls
    queues = queues_of(node)
    assert queues.pop("limner") == "classic"
    assert (queues.pop("limner.steps"), queues.pop("limner.copies")) == ("quorum", "quorum")
    # Celery's own consumer would make 28 of them.
    assert [step for step in Consumer.Blueprint.default_steps if "delayed" in step] == []
    assert [name for name in queues if name.startswith("celery_delayed")] == []


def test_plain_celery_with_default_settings_gets_images_and_errors(app: Celery, limner: Limner) -> None:
    images = app.send_task("limner.create_task", kwargs={"prompt": "a fox"}, queue=QUEUE)
    wrong = app.send_task("limner.create_task", kwargs={"promt": "a fox"}, queue=QUEUE)
    assert images.get(timeout=WAIT)["urls"]
    with pytest.raises(errors.InvalidRequest, match="promt"):
        wrong.get(timeout=WAIT)


def test_a_job_that_waits_too_long_ends_as_expired(app: Celery, limner: Limner) -> None:
    limner.pause(reason="a test")
    try:
        result: Any = image(app).apply_async(expires=1.0)
        with pytest.raises(errors.Expired):
            result.get(timeout=WAIT)
    finally:
        limner.resume()


def test_a_job_that_waits_for_its_start_can_be_revoked(
    node: LocalRabbitMQ, fleet: LocalFleet, app: Celery, limner: Limner
) -> None:
    result: Any = image(app).apply_async(countdown=600.0)
    eventually(lambda: events(limner, result.id))
    control: Any = build_app(Settings(redis_url=fleet.redis_url, broker_url=node.url)).control
    control.revoke([result.id])
    with pytest.raises(errors.Cancelled, match="before it was sent"):
        result.get(timeout=WAIT)


def events(limner: Limner, job_id: str) -> list[str]:
    """The events of a job; none as long as its message is on the way."""
    try:
        return [entry.event for entry in limner.get(job_id).log()]
    except errors.UnknownJob:
        return []


@pytest.fixture(scope="module")
def shop(node: LocalRabbitMQ, fleet: LocalFleet) -> Iterator[None]:
    """The producer's own worker. Its queues have arguments that the fleet does not know."""
    program = [sys.executable, "-m", "celery", "-A", "tests.integration.fleet.shop", "worker"]
    environment = {**os.environ, "SHOP_REDIS": fleet.redis_url, "SHOP_BROKER": node.url}
    with (fleet.log_dir / "shop.log").open("ab") as log:
        worker = Child(
            [*program, "-Q", "shop,celery"], output=log, env=with_checkout(environment), cwd=CHECKOUT
        )
    eventually(lambda: {"shop", "celery"} <= queues_of(node).keys())
    yield
    worker.kill()


def ran(fleet: LocalFleet, name: str) -> list[list[Any]]:
    """The calls of a task of the shop."""
    with redis.Redis.from_url(fleet.redis_url, decode_responses=True) as client:
        found: Any = client.lrange(f"shop:shop.{name}", 0, -1)
    return [json.loads(text) for text in found]


@pytest.mark.usefixtures("shop", "limner")
def test_linked_tasks_chains_and_chords_run_at_the_jobs_ends(fleet: LocalFleet, app: Celery) -> None:
    def task(name: str, *arguments: Any, queue: str | None = "shop") -> Signature[Any]:
        return app.signature(f"shop.{name}", args=arguments, queue=queue)

    assert fleet.provider
    linked: Any = image(app).apply_async(
        link=[task("publish", "one"), task("publish", "two", queue=None)], link_error=task("complain")
    )
    chained: Any = chain(image(app), task("publish", "three")).apply_async()
    gathered: Any = chord([image(app), image(app)])(task("gather", "album"))
    assert linked.get(timeout=WAIT)["urls"]
    assert chained.get(timeout=WAIT) == "three: 1"
    assert len(gathered.get(timeout=WAIT)) == 2
    eventually(lambda: {tag for *_, tag in ran(fleet, "publish")} == {"one", "two", "three"})
    assert ran(fleet, "complain") == []
    fleet.provider.faults(task_fail={"next": 1, "variant": "moderation"})
    failed: Any = image(app).apply_async(link_error=task("complain"))
    with pytest.raises(errors.ModerationRefused):
        failed.get(timeout=WAIT)
    eventually(lambda: [job for _, job in ran(fleet, "complain")] == [failed.id])


# Odd messages


def call(**headers: Any) -> dict[str, Any]:
    return {"lang": "py", "task": "limner.create_task", "id": str(uuid4()), **headers}


def nested(depth: int) -> dict[str, Any]:
    """A table in a table, and so on."""
    found: dict[str, Any] = {}
    for _ in range(depth):
        found = {"a": found}
    return found


BODY: Final = json.dumps([[], {"prompt": "a fox"}, {}])
ODD: Final[list[dict[str, Any]]] = [
    {"body": "no JSON", "headers": call()},
    {"body": BODY, "headers": {}},
    {"body": BODY, "headers": call(task="shop.thumbnails")},
    {"body": BODY, "headers": call(compression="application/x-unknown")},
    {"body": BODY, "headers": call(compression="application/x-gzip")},
    {"body": BODY, "headers": call(eta="soon")},
    {"body": BODY, "headers": call(**{"limner-step": "0" * 64})},
    {"body": BODY, "headers": call(task="limner.recover")},
    {"body": BODY, "headers": call(deep=nested(150))},
    {"body": BODY, "headers": call(odd=b"\xff\xfe")},
    {"body": BODY, "headers": {**call(), b"\xff\xfe": 1}},
    {"body": BODY, "headers": call(), "content_type": "application/x-python-serialize"},
    {"body": b"\x80\x04K\x01.", "headers": call(), "content_encoding": "binary"},
    {"body": BODY, "headers": call(), "content_type": b"\xff\xfe"},
    {"body": BODY, "headers": call(), "correlation_id": b"\xff\xfe"},
    {"body": b"x" * 2_000_000, "headers": call()},
    {"body": "", "headers": call()},
]


def test_odd_messages_cost_neither_a_worker_nor_a_job(
    node: LocalRabbitMQ, fleet: LocalFleet, limner: Limner, app: Celery
) -> None:
    limner.drop_letters()
    with channel_to(node) as channel:
        for queue in (QUEUE, "limner.steps"):
            for odd in ODD:
                options = {"content_type": "application/json", "content_encoding": "utf-8", **odd}
                message = amqp.Message(
                    options.pop("body"), application_headers=options.pop("headers"), **options
                )
                channel.basic_publish(message, exchange="", routing_key=queue)
    assert app.send_task("limner.create_task", kwargs={"prompt": "a fox"}, queue=QUEUE).get(timeout=WAIT)
    assert limner.submit("a hen").result(WAIT).urls
    eventually(lambda: len(limner.letters()) >= 20)
    fleet.check()


# Outages


def test_a_killed_worker_s_messages_go_to_another_one(node: LocalRabbitMQ) -> None:
    settings = {**ROOMY, "LIMNER_BROKER_URL": node.url, "LIMNER_PREFIX": "killed"}
    with (
        LocalFleet(workers=2, settings=settings, provider=quick_provider()) as fleet,
        Limner(fleet.redis_url, prefix="killed") as limner,
    ):
        # No request is under way when the worker is killed, because nobody knows what becomes of those.
        limner.pause(reason="a test")
        app = plain(node, fleet)
        results = [
            app.send_task("limner.create_task", kwargs={"prompt": f"boat {number}"}, queue="killed")
            for number in range(100)
        ]
        eventually(lambda: events(limner, results[20].id), every=0.001)
        fleet.kill_worker(0)
        # RabbitMQ sees at once that the worker is gone: no lease and no time-out has to pass.
        eventually(lambda: all(events(limner, result.id) for result in results), within=10.0)
        limner.resume()
        for result in results:
            assert result.get(timeout=WAIT)["urls"]
        assert created(fleet) == 100
        assert bought_once(fleet)


def is_known(limner: Limner, job_id: str) -> bool:
    """True if the message with that id has become a job."""
    try:
        limner.get(job_id).status()
    except errors.UnknownJob:
        return False
    return True


def test_a_restart_of_the_broker_under_load_loses_and_doubles_nothing(
    node: LocalRabbitMQ, fleet: LocalFleet, limner: Limner, app: Celery
) -> None:
    jobs = limner.submit_many(f"boat {number}" for number in range(150))
    asked = [
        app.send_task("limner.create_task", kwargs={"prompt": f"ship {number}"}, queue=QUEUE)
        for number in range(50)
    ]
    # The producer of a plain message waits for no confirmation: a killed node may have it in memory only.
    eventually(lambda: all(is_known(limner, each.id) for each in asked))
    node.kill()
    more = limner.submit_many(f"raft {number}" for number in range(50))
    node.restart()
    back = time.monotonic()
    for job in (*jobs, *more):
        assert job.result(WAIT).urls
    for result in asked:
        assert result.get(timeout=WAIT)["urls"]
    assert time.monotonic() - back < 30.0
    assert created(fleet) == 250
    assert bought_once(fleet)
    fleet.check()


def test_a_broker_that_does_not_answer_hangs_nobody(
    node: LocalRabbitMQ, fleet: LocalFleet, limner: Limner
) -> None:
    outages(fleet)
    node.pause()
    try:
        job = limner.submit("a boat in the ice")
        eventually(lambda: "RabbitMQ has not confirmed 1 messages within 2 s" in log_of(fleet))
    finally:
        node.resume()
    assert job.result(WAIT).urls
    assert bought_once(fleet)


def test_a_broker_that_is_full_is_told_and_used_again_when_it_has_room(
    node: LocalRabbitMQ, fleet: LocalFleet, limner: Limner
) -> None:
    settings = Settings(redis_url=fleet.redis_url, broker_url=node.url)
    sender: Any = build_app(settings)
    # A connection that was made before the broker's restart is repeated.
    last: Any = sender.send_task("limner.create_task", kwargs={"prompt": "a fox"}, queue=QUEUE, retry=True)
    assert last.get(timeout=WAIT)["urls"]
    outages(fleet)
    node.block()
    try:
        # The first message after the alarm makes RabbitMQ tell of it.
        began = time.monotonic()
        jobs = limner.submit_many(f"boat {number}" for number in range(20))
        eventually(lambda: "RabbitMQ takes no messages: its memory or its disk is full" in log_of(fleet))
        assert time.monotonic() - began < 5.0
        [finding] = examined(settings)
        assert finding.verdict is Verdict.FAIL
        assert "is full" in finding.found
        with pytest.raises(OperationalError, match="is full"):
            sender.send_task("limner.create_task", kwargs={"prompt": "a hen"}, queue=QUEUE)
        assert created(fleet) == 1
    finally:
        node.unblock()
    for job in jobs:
        assert job.result(WAIT).urls
    assert bought_once(fleet)
    fleet.check()


def test_a_queue_that_somebody_deletes_is_made_again(
    node: LocalRabbitMQ, fleet: LocalFleet, limner: Limner
) -> None:
    with channel_to(node) as channel:
        channel.queue_delete("limner.steps")
    assert limner.submit("a phoenix").result(WAIT).urls
    assert queues_of(node)["limner.steps"] == "quorum"
    fleet.check()


# Queues


def test_a_fleet_and_its_producers_can_agree_on_quorum_queues(node: LocalRabbitMQ) -> None:
    options = {"LIMNER_BROKER_URL": node.url, "LIMNER_PREFIX": "safe", "LIMNER_INTAKE_QUEUE_TYPE": "quorum"}
    with LocalFleet(settings={**ROOMY, **options}, provider=quick_provider()) as fleet:
        app = plain(node, fleet, task_create_missing_queue_type="quorum")
        assert app.send_task("limner.create_task", kwargs={"prompt": "a fox"}, queue="safe").get(timeout=WAIT)
        assert queues_of(node)["safe"] == "quorum"
        settings = Settings(
            redis_url=fleet.redis_url, broker_url=node.url, prefix="safe", intake_queue_type="quorum"
        )
        [finding] = examined(settings)
        assert finding.verdict is Verdict.OK
        assert finding.found.endswith(" takes messages")


def test_a_message_that_was_delivered_often_is_sent_anew_and_not_dropped(node: LocalRabbitMQ) -> None:
    # RabbitMQ 4 limits the deliveries of a quorum queue to 20 by itself.
    limited = {"x-queue-type": "quorum", "x-delivery-limit": 12}
    options = {"LIMNER_BROKER_URL": node.url, "LIMNER_PREFIX": "often"}
    with channel_to(node) as channel:
        for queue in (Queue("often", queue_arguments=limited), FoundQueue("often")):
            # The second one finds the first, whose arguments RabbitMQ would otherwise refuse to change.
            queue(channel).declare()
        job_id = str(uuid4())
        body = json.dumps([[], {"prompt": "a fox"}, {}])
        message = amqp.Message(
            body,
            application_headers=call(id=job_id),
            content_type="application/json",
            content_encoding="utf-8",
            delivery_mode=2,
        )
        channel.basic_publish(message, exchange="", routing_key="often")
        for _ in range(MOST + 1):
            taken: Any = None
            while taken is None:
                taken = channel.basic_get("often")
            channel.basic_reject(taken.delivery_tag, requeue=True)
        with LocalFleet(settings={**ROOMY, **options}, provider=quick_provider()) as fleet:
            # A queue of other arguments is used as it is.
            assert plain(node, fleet).AsyncResult(job_id).get(timeout=WAIT)["urls"]
            assert f"was delivered {MOST + 1} times" in log_of(fleet)
            settings = Settings(redis_url=fleet.redis_url, broker_url=node.url, prefix="often")
            findings = examined(settings)
            assert [finding.verdict for finding in findings] == [Verdict.OK, Verdict.WARN]
            assert "the queue often was made with other arguments" in findings[1].found


def test_a_wrong_password_is_told_and_ends_no_worker(
    node: LocalRabbitMQ, fleet: LocalFleet, limner: Limner
) -> None:
    url = node.url.replace("limner:", "limner:hunter2")
    settings = Settings(redis_url=fleet.redis_url, broker_url=url)
    [finding] = examined(settings)
    assert finding.verdict is Verdict.FAIL
    assert "refuses this user" in finding.found
    assert "hunter2" not in str(finding)
    # Somebody changes the password of the fleet's user, and changes it back.
    password = node.url.partition("limner:")[2].partition("@")[0]
    before = outages(fleet)
    node.control("change_password", "limner", "another")
    node.control("close_all_connections", "the test")
    eventually(lambda: log_of(fleet).count("an outage begins") > before)
    node.control("change_password", "limner", password)
    assert limner.submit("a patient fox").result(WAIT).urls
    fleet.check()
