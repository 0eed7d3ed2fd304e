"""The example web backend, over real HTTP and with a real fleet."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from sandbox.kie.server import SandboxProvider
from sandbox.local.fleet import CHECKOUT, LocalFleet
from tests.processes import wait_until

PROGRAM = """
import socket, uvicorn
with socket.create_server(("127.0.0.1", 0)) as listener:
    print(listener.getsockname()[1], flush=True)
    config = uvicorn.Config("examples.web_backend:app", log_level="warning")
    uvicorn.Server(config).run(sockets=[listener])
"""


ALICE = {"Authorization": "Bearer token-a"}
BOB = {"Authorization": "Bearer token-b"}


@pytest.fixture(scope="module")
def fleet() -> Iterator[LocalFleet]:
    with LocalFleet(provider=SandboxProvider(duration=0.5)) as running:
        yield running


@pytest.fixture(scope="module")
def backend(fleet: LocalFleet) -> Iterator[httpx.Client]:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        env={
            **os.environ,
            "LIMNER_REDIS_URL": fleet.redis_url,
            "WEB_BACKEND_TOKENS": json.dumps({"token-a": "alice", "token-b": "bob"}),
        },
    ) as server:
        try:
            assert server.stdout
            url = f"http://127.0.0.1:{int(server.stdout.readline())}"
            with httpx.Client(base_url=url, timeout=40, trust_env=False, headers=ALICE) as client:
                yield client
        finally:
            server.terminate()


def test_a_request_returns_at_once_and_a_client_can_wait_for_its_images(backend: httpx.Client) -> None:
    accepted = backend.post("/images", json={"prompt": "a red kite", "num_images": 2})
    assert accepted.status_code == 202
    assert backend.get(accepted.json()["url"]).json()["state"] in ("queued", "sending", "generating")
    done = backend.get(accepted.headers["location"], params={"wait": 25}).json()
    assert done["state"] == "succeeded"
    assert len(done["urls"]) == 2


def test_a_repeated_request_with_the_same_key_is_the_same_job(backend: httpx.Client) -> None:
    headers = {"Idempotency-Key": "order-1"}
    first = backend.post("/images", json={"prompt": "once"}, headers=headers).json()
    assert backend.post("/images", json={"prompt": "once"}, headers=headers).json() == first
    assert backend.post("/images", json={"prompt": "twice"}, headers=headers).status_code == 409


def test_two_tenants_with_the_same_key_get_their_own_images(backend: httpx.Client, fleet: LocalFleet) -> None:
    key = {"Idempotency-Key": "order-2"}
    body = {"prompt": "a portrait for both"}
    hers = backend.post("/images", json=body, headers={**ALICE, **key}).json()
    his = backend.post("/images", json=body, headers={**BOB, **key}).json()
    assert hers["id"] != his["id"]
    results = [
        backend.get(job["url"], params={"wait": 25}, headers=user).json()
        for job, user in ((hers, ALICE), (his, BOB))
    ]
    assert [result["state"] for result in results] == ["succeeded", "succeeded"]
    assert not {*results[0]["urls"]} & {*results[1]["urls"]}
    assert backend.post("/images", json=body, headers={**BOB, **key}).json() == his
    assert fleet.provider
    assert len(fleet.provider.ledger(prompt="a portrait for both")) == 2


def test_a_job_of_another_user_is_not_found(backend: httpx.Client) -> None:
    hers = backend.post("/images", json={"prompt": "for nobody else"}, headers=ALICE).json()
    assert backend.get(hers["url"], headers=ALICE).status_code == 200
    assert backend.get(hers["url"], headers=BOB).status_code == 404


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer token-c", "Basic token-a", "token-a"])
def test_nobody_without_a_token_submits(backend: httpx.Client, header: str) -> None:
    for answer in (
        backend.post("/images", json={"prompt": "x"}, headers={"Authorization": header}),
        backend.get("/images/nobody", headers={"Authorization": header}),
    ):
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize(
    ("body", "word"),
    [('{"prompt": ""}', "prompt"), ('{"prompt": "x", "styl": 1}', "styl"), ("[", "JSON"), ('"x"', "object")],
)
def test_an_invalid_request_is_answered_with_the_field_at_fault(
    backend: httpx.Client, body: str, word: str
) -> None:
    answer = backend.post("/images", content=body)
    assert answer.status_code == 422
    assert word in answer.text


def test_a_failed_job_returns_its_error_type(backend: httpx.Client, fleet: LocalFleet) -> None:
    assert fleet.provider
    fleet.provider.faults(task_fail={"next": 1, "variant": "moderation"})
    location = backend.post("/images", json={"prompt": "flagged"}).json()["url"]
    error = backend.get(location, params={"wait": 25}).json()["error"]
    assert error["type"] == "ModerationRefused"
    assert error["retryable"] is False


def test_an_unknown_job_is_not_found(backend: httpx.Client) -> None:
    assert backend.get("/images/nobody").status_code == 404


@pytest.mark.parametrize("wait", ["-1", "26", "nan", "soon"])
def test_an_invalid_wait_is_refused(backend: httpx.Client, wait: str) -> None:
    assert backend.get("/images/nobody", params={"wait": wait}).status_code == 422


def test_an_outage_of_redis_is_a_503_until_it_ends(backend: httpx.Client, fleet: LocalFleet) -> None:
    assert fleet.valkey
    fleet.valkey.kill()
    answer = backend.post("/images", json={"prompt": "later"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    fleet.valkey.restart()
    wait_until(lambda: backend.post("/images", json={"prompt": "later"}).status_code == 202)
