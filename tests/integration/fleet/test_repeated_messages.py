"""Plain Celery messages that come again, or share an id: on real processes, nothing is bought twice."""

import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from celery import Celery
from celery.result import AsyncResult

from limner import errors
from sandbox.local.fleet import LocalFleet
from tests.conftest import eventually
from tests.integration.fleet.conftest import ROOMY, plain_celery, quick_provider

WAIT = 60.0
QUEUE = "limner"


@pytest.fixture(scope="module")
def fleet() -> Iterator[LocalFleet]:
    with LocalFleet(settings=ROOMY, provider=quick_provider()) as running:
        yield running


@pytest.fixture
def app(fleet: LocalFleet) -> Celery:
    return plain_celery(fleet.redis_url)


@pytest.fixture
def prompt() -> str:
    return f"a prompt of {uuid.uuid4()}"


def send(app: Celery, task_id: str, fields: dict[str, Any], **options: Any) -> "AsyncResult[Any]":
    result: AsyncResult[Any] = app.send_task(
        "limner.create_task", kwargs=fields, task_id=task_id, queue=QUEUE, **options
    )
    return result


def bought(fleet: LocalFleet, prompt: str) -> int:
    assert fleet.provider
    return len(fleet.provider.ledger(prompt=prompt))


def forget(fleet: LocalFleet, task_id: str, *, result: bool) -> None:
    """Remove a job's record and log, as their time to live does, and with ``result`` its result, too."""
    with redis.Redis.from_url(fleet.redis_url) as client:
        found = list(client.scan_iter(f"*:job:{task_id}")) + list(client.scan_iter(f"*:log:{task_id}"))
        assert len(found) == 2
        client.delete(*found, *([f"celery-task-meta-{task_id}"] if result else []))


def refusals(fleet: LocalFleet, task_id: str) -> int:
    """The number of lines in which workers say that they refused a message of that id."""
    logs = [worker.log.read_text(errors="replace") for worker in fleet.workers]
    return sum("is refused" in line and task_id in line for log in logs for line in log.splitlines())


def first(fleet: LocalFleet, app: Celery, prompt: str) -> str:
    """A job of a plain message that has ended, by its id."""
    task_id = str(uuid.uuid4())
    assert send(app, task_id, {"prompt": prompt}).get(timeout=WAIT)["parameters"]["prompt"] == prompt
    assert bought(fleet, prompt) == 1
    return task_id


def test_a_message_delivered_after_the_record_is_gone_is_told_so_and_buys_nothing(
    fleet: LocalFleet, app: Celery, prompt: str
) -> None:
    task_id = first(fleet, app, prompt)
    forget(fleet, task_id, result=True)
    with pytest.raises(errors.RepeatedMessage, match=task_id):
        send(app, task_id, {"prompt": prompt}).get(timeout=WAIT)
    assert bought(fleet, prompt) == 1


def test_a_message_delivered_after_the_record_is_gone_leaves_a_result_that_is_kept(
    fleet: LocalFleet, app: Celery, prompt: str
) -> None:
    task_id = first(fleet, app, prompt)
    forget(fleet, task_id, result=False)
    send(app, task_id, {"prompt": prompt})
    eventually(lambda: refusals(fleet, task_id) == 1)
    assert send(app, task_id, {"prompt": prompt}).get(timeout=WAIT)["parameters"]["prompt"] == prompt
    assert bought(fleet, prompt) == 1


def test_the_id_of_a_forgotten_job_with_another_request_is_a_conflict(
    fleet: LocalFleet, app: Celery, prompt: str
) -> None:
    task_id = first(fleet, app, prompt)
    forget(fleet, task_id, result=True)
    with pytest.raises(errors.IdempotencyConflict, match="task_id: already belongs to"):
        send(app, task_id, {"prompt": f"another {prompt}"}).get(timeout=WAIT)
    assert bought(fleet, f"another {prompt}") == 0


def test_another_request_and_a_bad_one_under_the_same_id_leave_the_first_result(
    fleet: LocalFleet, app: Celery, prompt: str
) -> None:
    task_id = str(uuid.uuid4())
    send(app, task_id, {"prompt": prompt})
    send(app, task_id, {"prompt": f"another {prompt}"})
    send(app, task_id, {"promt": prompt})
    assert AsyncResult(task_id, app=app).get(timeout=WAIT)["parameters"]["prompt"] == prompt
    eventually(lambda: refusals(fleet, task_id) == 2)
    send(app, task_id, {"prompt": prompt, "priority": 99})
    eventually(lambda: refusals(fleet, task_id) == 3)
    assert bought(fleet, f"another {prompt}") == 0
    assert AsyncResult(task_id, app=app).get(timeout=WAIT)["parameters"]["prompt"] == prompt


@pytest.mark.parametrize("way", ["timestamp", "limner-sent", "eta"])
def test_a_message_that_says_it_is_older_than_the_memory_is_refused(
    app: Celery, fleet: LocalFleet, prompt: str, way: str
) -> None:
    then = datetime.now(UTC) - timedelta(days=8)
    ways: dict[str, dict[str, Any]] = {
        "timestamp": {"timestamp": int(then.timestamp())},
        "limner-sent": {"headers": {"limner-sent": then.timestamp()}},
        "eta": {"eta": then},
    }
    with pytest.raises(errors.MessageTooOld, match="LIMNER_MESSAGE_SECONDS"):
        send(app, str(uuid.uuid4()), {"prompt": prompt}, **ways[way]).get(timeout=WAIT)
    assert bought(fleet, prompt) == 0


def test_a_message_that_says_it_is_new_becomes_a_job(app: Celery, prompt: str) -> None:
    result = send(app, str(uuid.uuid4()), {"prompt": prompt}, headers={"limner-sent": time.time()})
    assert result.get(timeout=WAIT)["urls"]
    eventually(lambda: result.state == "SUCCESS")
