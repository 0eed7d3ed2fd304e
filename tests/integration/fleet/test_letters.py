"""Odd messages in the queues of a real fleet: they cost no worker, and no other job's result."""

import base64
import json
import pickle
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest
import redis
from celery import Celery
from celery.states import READY_STATES

from bench.odd_letters import Thrower
from limner import InvalidRequest, Letter, Limner
from sandbox.local.fleet import FleetProcess, LocalFleet
from tests.conftest import eventually
from tests.integration.fleet.conftest import ROOMY, plain_celery, quick_provider
from worker.health.__main__ import verdict

INTAKE: Final = "limner"
STEPS: Final = "limner.steps"
BOTH: Final = (INTAKE, STEPS)


@pytest.fixture
def app(fleet: LocalFleet) -> Celery:
    return plain_celery(fleet.redis_url)


@pytest.fixture
def server(fleet: LocalFleet) -> Iterator[Any]:
    with redis.Redis.from_url(fleet.redis_url) as client:
        yield client


@pytest.fixture(autouse=True)
def no_letters(limner: Limner) -> None:
    limner.drop_letters()


def one_letter(limner: Limner) -> Letter:
    eventually(limner.letters)
    [letter] = limner.letters()
    return letter


def call(task_id: str, **headers: Any) -> dict[str, Any]:
    """A plain producer's message, as it lies in the queue."""
    body = json.dumps([[], {"prompt": "a fox"}, {"callbacks": None}]).encode()
    return {
        "body": base64.b64encode(body).decode(),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {"lang": "py", "task": "limner.create_task", "id": task_id, **headers},
        "properties": {"body_encoding": "base64", "delivery_tag": "1", "delivery_info": {}},
    }


def test_a_text_that_is_no_message_is_set_aside(limner: Limner, server: Any) -> None:
    server.lpush(INTAKE, b"no message")
    letter = one_letter(limner)
    assert letter.why.startswith("unreadable: no JSON")
    assert (letter.queue, letter.size, letter.head) == (INTAKE, 10, "no message")


@pytest.mark.parametrize("queue", BOTH)
def test_a_step_that_the_fleet_did_not_send_is_set_aside(limner: Limner, app: Celery, queue: str) -> None:
    job = limner.submit("a fox")
    job.result(20)
    app.send_task("limner.recover", args=[1], task_id=job.id, queue=queue, headers={"limner-step": "0" * 64})
    assert one_letter(limner).why.startswith("forged")
    assert app.AsyncResult(job.id).state == "SUCCESS"


@pytest.mark.parametrize("embedded", [{"limner-step": 1}, {"id": "another"}, {"ignore_result": False}])
def test_what_would_take_the_place_of_a_header_is_refused(
    limner: Limner, app: Celery, server: Any, embedded: dict[str, Any]
) -> None:
    message = call(task_id := str(uuid4()))
    message["body"] = base64.b64encode(json.dumps([[1], {}, embedded]).encode()).decode()
    server.lpush(INTAKE, json.dumps(message))
    with pytest.raises(InvalidRequest, match="its body may have"):
        app.AsyncResult(task_id).get(timeout=20)
    one_letter(limner)


def test_the_producer_of_another_task_is_told(limner: Limner, app: Celery) -> None:
    with pytest.raises(InvalidRequest, match=r"not shop\.thumbnails"):
        app.send_task("shop.thumbnails", queue=INTAKE).get(timeout=20)
    assert one_letter(limner).why.startswith("unknown")


class Trap:
    """An object that writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self._path,)


def test_a_pickle_is_answered_and_never_opened(
    limner: Limner, app: Celery, server: Any, tmp_path: Path
) -> None:
    message = call(task_id := str(uuid4()))
    message["content-type"] = "application/x-python-serialize"
    message["body"] = base64.b64encode(pickle.dumps(Trap(tmp_path / "opened"))).decode()
    server.lpush(INTAKE, json.dumps(message))
    with pytest.raises(InvalidRequest, match="send application/json"):
        app.AsyncResult(task_id).get(timeout=20)
    assert not (tmp_path / "opened").exists()
    assert "x-python-serialize" in one_letter(limner).why


@pytest.mark.parametrize("ignored", [False, None])
def test_only_the_job_s_end_is_stored(limner: Limner, app: Celery, ignored: bool | None) -> None:
    seen: set[str] = set()
    result = app.send_task(
        "limner.create_task", kwargs={"prompt": "a fox"}, queue=INTAKE, headers={"ignore_result": ignored}
    )
    result = app.AsyncResult(result.id)

    def ready() -> bool:
        # Two reads could see two states.
        state = result.state
        seen.add(state)
        return state in READY_STATES

    eventually(ready)
    assert seen == {"PENDING", "SUCCESS"}
    assert len(result.get()["urls"]) == 1


def test_a_message_of_protocol_1_makes_a_job(app: Celery, limner: Limner) -> None:
    app.conf.task_protocol = 1
    result = app.send_task("limner.create_task", kwargs={"prompt": "a fox"}, queue=INTAKE)
    assert len(result.get(timeout=20)["urls"]) == 1
    assert limner.letters() == []


def test_a_compressed_message_makes_a_job(app: Celery, limner: Limner) -> None:
    result = app.send_task("limner.create_task", kwargs={"prompt": "a fox"}, queue=INTAKE, compression="gzip")
    assert len(result.get(timeout=20)["urls"]) == 1
    assert limner.letters() == []


def test_a_bad_message_with_a_job_s_id_leaves_the_job_its_result(
    limner: Limner, app: Celery, server: Any, fleet: LocalFleet
) -> None:
    assert fleet.provider
    job = limner.submit("a fox")
    for bad in (call(job.id, eta="tomorrow"), {**call(job.id), "content-type": "application/x-yaml"}):
        server.lpush(INTAKE, json.dumps(bad))
    app.send_task("limner.create_task", kwargs={"promt": "a fox"}, task_id=job.id, queue=INTAKE)
    told = f"a message with the id of job {job.id} is refused"
    eventually(lambda: fleet.workers[0].log.read_text().count(told) == 3)
    eventually(lambda: len(limner.letters()) == 3)
    assert len(job.result(20).urls) == 1
    assert app.AsyncResult(job.id).state == "SUCCESS"


def test_a_secret_is_hidden_in_a_letter(limner: Limner, server: Any, fleet: LocalFleet) -> None:
    key = fleet.environment["LIMNER_API_KEY"]
    message = call(str(uuid4()))
    message["body"] = base64.b64encode(json.dumps([["Bearer", key]]).encode()).decode()
    server.lpush(INTAKE, json.dumps(message))
    letter = one_letter(limner)
    assert "Bearer" in letter.head
    assert key not in letter.head


def fault_of(fleet: LocalFleet, worker: FleetProcess) -> str | None:
    """The finding of a worker's health check."""
    return verdict(fleet.log_dir.parent / f"{worker.name}.heartbeat", time.time())


def test_a_worker_that_does_not_read_the_steps_is_not_healthy(fleet: LocalFleet) -> None:
    worker = fleet.start_worker(arguments=["-Q", "elsewhere"])
    try:
        eventually(lambda: "does not read the queue limner.steps" in str(fault_of(fleet, worker)))
        assert "does not read the queue limner.steps" in worker.log.read_text()
    finally:
        worker.child.kill()


@pytest.mark.timeout(240)
def test_hundreds_of_odd_messages_cost_nothing() -> None:
    with LocalFleet(settings=ROOMY, provider=quick_provider(), workers=2) as fleet:
        app = plain_celery(fleet.redis_url)
        with Limner(fleet.redis_url) as limner, redis.Redis.from_url(fleet.redis_url) as server:
            jobs = [limner.submit(f"a fox {number}") for number in range(5)]
            thrower = Thrower(app, server, BOTH, seed=1974, victims=[job.id for job in jobs])
            honest = []
            for number in range(10):
                thrower.throw(40)
                jobs.append(limner.submit(f"a hare {number}"))
                honest.append(
                    app.send_task("limner.create_task", kwargs={"prompt": f"an owl {number}"}, queue=INTAKE)
                )
            for job in jobs:
                assert len(job.result(60).urls) == 1
                assert app.AsyncResult(job.id).state == "SUCCESS"
            for result in honest:
                assert len(result.get(timeout=60)["urls"]) == 1
            eventually(lambda: not any(server.llen(queue) for queue in BOTH))
            fleet.check()
            assert 100 < len(limner.letters()) <= 1000
            for worker in fleet.workers:
                assert fault_of(fleet, worker) is None
                assert "Traceback" not in worker.log.read_text()
