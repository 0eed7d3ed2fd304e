"""One stand-in for all tests of this folder that need no other options, reset between tests."""

import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import httpx
import pytest

from sandbox.kie.server import SandboxProvider

T = TypeVar("T")
HMAC_KEY = "example-webhook-key"


@pytest.fixture(scope="package")
def shared_provider() -> Iterator[SandboxProvider]:
    with SandboxProvider(
        creates=0, reads=0, duration=0.1, callback_spacing=0.05, hmac_key=HMAC_KEY
    ) as provider:
        yield provider


@pytest.fixture
def provider(shared_provider: SandboxProvider) -> SandboxProvider:
    shared_provider.reset()
    return shared_provider


@pytest.fixture
def client(provider: SandboxProvider) -> Iterator[httpx.Client]:
    with client_of(provider) as client:
        yield client


def client_of(provider: SandboxProvider, key: str = "sandbox-key") -> httpx.Client:
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.Client(base_url=provider.url, headers=headers, timeout=10, trust_env=False)


def order(prompt: str = "a red kite", callback: str | None = None, **given: Any) -> dict[str, Any]:
    body: dict[str, Any] = {"model": "ideogram/v3-text-to-image", "input": {"prompt": prompt, **given}}
    return body if callback is None else {**body, "callBackUrl": callback}


def create(client: httpx.Client, prompt: str = "a red kite", **rest: Any) -> dict[str, Any]:
    return dict(client.post("/api/v1/jobs/createTask", json=order(prompt, **rest)).json())


def record(client: httpx.Client, task_id: str) -> dict[str, Any]:
    return dict(client.get("/api/v1/jobs/recordInfo", params={"taskId": task_id}).json())


def ended(client: httpx.Client, task_id: str) -> dict[str, Any]:
    """Wait until the task has ended, and return its record's data."""

    def poll() -> dict[str, Any] | None:
        data: dict[str, Any] = record(client, task_id)["data"]
        return data if data["state"] in ("success", "fail") else None

    return until(poll)


def until(condition: Callable[[], T | None], seconds: float = 10.0) -> T:
    """The first true value of ``condition``. Raises AssertionError after ``seconds``."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError(f"nothing true within {seconds} s")
