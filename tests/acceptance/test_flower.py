"""Flower beside a fleet: the page of a job's id, its result, and the button that revokes it."""

import os
import socket
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from limner import Cancelled, Limner, UnknownJob
from sandbox.local.fleet import LocalFleet
from sandbox.processes.checkout import with_checkout
from sandbox.processes.children import Child
from tests.conftest import eventually
from tests.integration.fleet.conftest import ROOMY, plain_celery, quick_provider

WAIT = 60.0
LOGIN = ("operator", "a-password-of-tests")


@pytest.fixture(scope="module")
def fleet() -> Iterator[LocalFleet]:
    settings = {**ROOMY, "LIMNER_REMOTE_CONTROL": "true"}
    with LocalFleet(workers=0, settings=settings, provider=quick_provider()) as running:
        running.start_worker(arguments=["-E"])
        yield running


@pytest.fixture(scope="module")
def flower(fleet: LocalFleet) -> Iterator[httpx.Client]:
    """A client of Flower, which knows the worker."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = ["--address=127.0.0.1", f"--port={port}", f"--basic-auth={':'.join(LOGIN)}"]
    with (fleet.log_dir / "flower.log").open("wb") as output:
        program = Child(
            [sys.executable, "-m", "celery", "-A", "worker", "flower", *options],
            output=output,
            env=with_checkout({**os.environ, **fleet.environment}),
            cwd=fleet.log_dir,
        )
    url = f"http://127.0.0.1:{port}"
    with httpx.Client(base_url=url, auth=LOGIN, timeout=20, trust_env=False) as client:
        eventually(lambda: program.running and workers(client), within=WAIT)
        yield client
    program.kill()


def workers(client: httpx.Client) -> Any:
    try:
        return client.get("/api/workers", params={"refresh": "1"}).json()
    except (httpx.HTTPError, ValueError):
        return None


def send(fleet: LocalFleet, **options: Any) -> Any:
    app = plain_celery(fleet.redis_url)
    return app.send_task("limner.create_task", kwargs={"prompt": "a fox"}, queue="limner", **options)


def shown(flower: httpx.Client, job_id: str, state: str) -> dict[str, Any]:
    """The page of an id, once it shows this state."""
    found: dict[str, Any] = {}

    def ready() -> bool:
        answer = flower.get(f"/api/task/info/{job_id}")
        found.update(answer.json() if answer.is_success else {})
        return found.get("state") == state

    eventually(ready, within=WAIT)
    return found


def test_the_page_of_a_job_s_id_shows_its_message_and_not_its_result(
    fleet: LocalFleet, flower: httpx.Client
) -> None:
    sent = send(fleet)
    assert sent.get(timeout=WAIT)["urls"]
    page = shown(flower, sent.id, "SUCCESS")
    assert page["name"] == "limner.create_task"
    assert "a fox" in page["kwargs"]
    # The message was taken then; the job has a result of its own.
    assert page["result"] == "None"
    assert page["exception"] is None


def test_flower_returns_the_job_s_result(fleet: LocalFleet, flower: httpx.Client) -> None:
    sent = send(fleet)
    images = sent.get(timeout=WAIT)
    answer = flower.get(f"/api/task/result/{sent.id}").json()
    assert answer["state"] == "SUCCESS"
    assert images["urls"][0] in str(answer["result"])


def test_no_step_has_the_id_of_a_job(fleet: LocalFleet, flower: httpx.Client) -> None:
    with Limner(fleet.redis_url) as limner:
        job = limner.submit("a fox")
        assert job.result(WAIT).urls
        eventually(lambda: any(job.id in task_id for task_id in flower.get("/api/tasks").json()), within=WAIT)
        assert flower.get(f"/api/task/info/{job.id}").status_code == httpx.codes.NOT_FOUND


def test_a_revoked_job_is_cancelled_and_the_next_one_runs(fleet: LocalFleet, flower: httpx.Client) -> None:
    sent = send(fleet, countdown=600)
    with Limner(fleet.redis_url) as limner:
        eventually(lambda: known(limner, sent.id), within=WAIT)
        assert flower.post(f"/api/task/revoke/{sent.id}").is_success
        with pytest.raises(Cancelled, match="before it was sent"):
            limner.get(sent.id).result(WAIT)
    with pytest.raises(Cancelled):
        sent.get(timeout=WAIT)
    assert send(fleet).get(timeout=WAIT)["urls"]


def known(limner: Limner, job_id: str) -> bool:
    try:
        return bool(limner.get(job_id).status())
    except UnknownJob:
        return False


def test_a_stranger_sees_nothing(flower: httpx.Client) -> None:
    for path in ("/", "/tasks", "/api/tasks"):
        assert flower.get(path, auth=None).status_code == httpx.codes.UNAUTHORIZED, path
