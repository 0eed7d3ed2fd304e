"""Answers with the latency of the real ones (contract 1.2)."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from sandbox.kie.server import SandboxProvider
from tests.integration.sandbox.conftest import client_of, create, order, record, until


@pytest.fixture(scope="module")
def slow() -> Iterator[SandboxProvider]:
    with SandboxProvider(
        create_latency=0.4, read_latency=0.2, creates=2, window_seconds=600, duration=0.001
    ) as provider:
        yield provider


@pytest.fixture
def provider(slow: SandboxProvider) -> SandboxProvider:
    slow.reset()
    return slow


def test_answers_and_refusals_have_the_configured_latency(
    provider: SandboxProvider, client: httpx.Client
) -> None:
    took = []
    for number in range(3):
        began = time.monotonic()
        create(client, f"kite {number}")
        took.append(time.monotonic() - began)
    began = time.monotonic()
    record(client, "0" * 32)
    assert min(took) >= 0.4
    assert time.monotonic() - began >= 0.2


def test_limits_count_a_call_at_its_arrival(provider: SandboxProvider) -> None:
    def create_one(number: int) -> int:
        with client_of(provider) as client:
            return int(create(client, f"kite {number}")["code"])

    def burst() -> list[dict[str, Any]] | None:
        provider.reset()
        with ThreadPoolExecutor(3) as pool:
            assert sorted(pool.map(create_one, range(3))) == [200, 200, 429]
        calls = provider.calls()
        # All three must arrive before the first is answered; a busy machine may need another try.
        return calls if calls[2]["at_ms"] - calls[0]["at_ms"] < 400 else None

    assert [call["outcome"] for call in until(burst)] == ["200", "200", "429"]


def test_a_task_exists_before_its_id_is_returned(provider: SandboxProvider) -> None:
    with ThreadPoolExecutor(1) as pool, client_of(provider) as client:
        answer = pool.submit(create, client, "early")
        until(lambda: provider.ledger(prompt="early"))
        assert provider.calls()[0]["outcome"] == "pending"
        assert answer.result()["code"] == 200
    assert provider.calls()[0]["outcome"] == "200"


def test_a_client_that_does_not_wait_is_logged_as_gone(
    provider: SandboxProvider, client: httpx.Client
) -> None:
    with pytest.raises(httpx.ReadTimeout):
        client.post("/api/v1/jobs/createTask", json=order("hasty"), timeout=0.1)
    with pytest.raises(httpx.ReadTimeout):
        client.get("/api/v1/jobs/recordInfo", params={"taskId": "0" * 32}, timeout=0.05)
    until(lambda: [call["outcome"] for call in provider.calls()] == ["client_gone", "client_gone"])
    assert provider.ledger()[0]["call_ended"] == "client_gone"


def test_an_end_is_seen_at_the_time_of_the_answer(provider: SandboxProvider, client: httpx.Client) -> None:
    task_id = create(client)["data"]["taskId"]
    assert record(client, task_id)["data"]["state"] == "success"
    read = provider.calls()[-1]
    seen = provider.ledger()[0]["seen_ms"]
    assert seen - read["at_ms"] >= 199
