"""Callbacks that the test's own receiver gets."""

import itertools
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from sandbox.kie.callbacks import signature
from sandbox.kie.server import SandboxProvider
from tests.integration.sandbox.conftest import HMAC_KEY, create, ended, record, until


@dataclass
class Receiver:
    """The callbacks that the server has received, and its next answers."""

    url: str = ""
    got: list[tuple[dict[str, str], dict[str, Any], float]] = field(default_factory=list)
    """Headers, body and arrival (seconds of the monotonic clock)."""
    statuses: list[int] = field(default_factory=list)
    """The statuses of the next answers; then 200."""

    def take(self, count: int = 1) -> list[tuple[dict[str, str], dict[str, Any], float]]:
        return until(lambda: self.got[:count] if len(self.got) >= count else None)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    kept = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            headers = {name.lower(): value for name, value in self.headers.items()}
            kept.got.append((headers, body, time.monotonic()))
            self.send_response(kept.statuses.pop(0) if kept.statuses else 200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            """Keep the test's output clean."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        kept.url = f"http://127.0.0.1:{server.server_port}/callbacks/job/token"
        yield kept
        server.shutdown()


def verified(headers: dict[str, str], task_id: str) -> bool:
    timestamp = int(headers["x-webhook-timestamp"])
    return headers["x-webhook-signature"] == signature(HMAC_KEY, task_id, timestamp)


def test_a_callback_is_signed_and_reports_the_end(receiver: Receiver, client: httpx.Client) -> None:
    task_id = create(client, callback=receiver.url)["data"]["taskId"]
    [(headers, body, _)] = receiver.take()
    assert verified(headers, task_id)
    assert (body["code"], body["data"]["taskId"], body["data"]["state"]) == (200, task_id, "success")
    assert record(client, task_id)["data"]["state"] == "success"


def test_a_failed_delivery_is_retried_three_times(
    receiver: Receiver, client: httpx.Client, provider: SandboxProvider
) -> None:
    receiver.statuses = [500, 301, 404, 503, 500]
    create(client, callback=receiver.url)
    arrivals = [arrival for _, _, arrival in receiver.take(4)]
    gaps = [later - earlier for earlier, later in itertools.pairwise(arrivals)]
    assert gaps[0] < gaps[1] < gaps[2]

    def answered() -> list[int] | None:
        # The ledger has the last answer's status a moment after the delivery.
        statuses = [callback["status"] for callback in provider.ledger()[0]["callbacks"]]
        return statuses if len(statuses) == 4 else None

    assert until(answered) == [500, 301, 404, 503]


def test_a_lost_callback_is_never_sent(
    receiver: Receiver, client: httpx.Client, provider: SandboxProvider
) -> None:
    provider.faults(callback_lost={"next": 1})
    ended(client, create(client, "lost", callback=receiver.url)["data"]["taskId"])
    delivered = create(client, "delivered", callback=receiver.url)["data"]["taskId"]
    [(_, body, _)] = receiver.take()
    assert body["data"]["taskId"] == delivered
    assert provider.ledger(prompt="lost")[0]["callbacks"] == []


def test_a_duplicate_callback_is_sent_twice(
    receiver: Receiver, client: httpx.Client, provider: SandboxProvider
) -> None:
    provider.faults(callback_duplicate=1)
    create(client, callback=receiver.url)
    [(_, first, _), (_, second, _)] = receiver.take(2)
    assert first == second


def test_an_early_callback_precedes_the_answer(
    receiver: Receiver, client: httpx.Client, provider: SandboxProvider
) -> None:
    provider.faults(callback_early=1)
    task_id = create(client, callback=receiver.url)["data"]["taskId"]
    assert [body["data"]["taskId"] for _, body, _ in receiver.got] == [task_id]


def test_a_callback_can_precede_the_end(
    receiver: Receiver, client: httpx.Client, provider: SandboxProvider
) -> None:
    provider.faults(callback_before_terminal=1)
    create(client, callback=receiver.url)
    [(_, body, _)] = receiver.take()
    row = until(lambda: next((row for row in provider.ledger() if row["callbacks"]), None))
    assert body["data"]["state"] == "success"
    assert row["callbacks"][0]["at_ms"] < row["finish_ms"]


def test_a_callback_can_be_late(receiver: Receiver, client: httpx.Client, provider: SandboxProvider) -> None:
    provider.faults(callback_late=0.4)
    task_id = create(client, callback=receiver.url)["data"]["taskId"]
    ended(client, task_id)
    ended_at = time.monotonic()
    [(_, _, arrival)] = receiver.take()
    assert arrival - ended_at > 0.2


def test_a_signature_can_be_wrong_or_missing(
    receiver: Receiver, client: httpx.Client, provider: SandboxProvider
) -> None:
    provider.faults(callback_bad_signature={"next": 1})
    task_id = create(client, callback=receiver.url)["data"]["taskId"]
    [(headers, _, _)] = receiver.take()
    assert not verified(headers, task_id)
    provider.faults(callback_unsigned={"next": 1})
    create(client, callback=receiver.url)
    assert "x-webhook-signature" not in receiver.take(2)[1][0]


def test_a_tampered_body_has_a_valid_signature(
    receiver: Receiver, client: httpx.Client, provider: SandboxProvider
) -> None:
    provider.faults(callback_tampered=1, task_fail=1)
    task_id = create(client, callback=receiver.url)["data"]["taskId"]
    [(headers, body, _)] = receiver.take()
    assert verified(headers, task_id)
    assert body["data"]["state"] == "success"
    assert ended(client, task_id)["state"] == "fail"


def test_the_task_id_can_have_the_name_of_the_sibling_pages(
    receiver: Receiver, client: httpx.Client, provider: SandboxProvider
) -> None:
    provider.faults(callback_task_id=1)
    task_id = create(client, callback=receiver.url)["data"]["taskId"]
    [(_, body, _)] = receiver.take()
    assert body["data"]["task_id"] == task_id
    assert "taskId" not in body["data"]


def test_the_task_id_can_stand_beside_the_data(
    receiver: Receiver, client: httpx.Client, provider: SandboxProvider
) -> None:
    provider.faults(callback_task_id={"variant": "top_level"})
    task_id = create(client, callback=receiver.url)["data"]["taskId"]
    [(_, body, _)] = receiver.take()
    assert body["taskId"] == task_id
    assert "taskId" not in body["data"]


@pytest.mark.parametrize(("variant", "least"), [("natural", 45_000), ("85KB", 85_000), ("600KB", 600_000)])
def test_a_callback_can_be_as_large_as_a_long_prompt_makes_it(
    variant: str, least: int, receiver: Receiver, client: httpx.Client, provider: SandboxProvider
) -> None:
    provider.faults(callback_big={"variant": variant})
    task_id = create(client, "红" * 5000, callback=receiver.url)["data"]["taskId"]
    [(headers, body, _)] = receiver.take()
    assert least <= int(headers["content-length"]) < least + 2000
    assert body["data"]["taskId"] == task_id
    assert json.loads(json.loads(body["data"]["param"])["input"])["prompt"] == "红" * 5000
    assert provider.ledger()[0]["input"] == {"prompt": "红" * 5000}


def test_four_invented_ids_precede_the_true_callback(
    receiver: Receiver, client: httpx.Client, provider: SandboxProvider
) -> None:
    provider.faults(callback_wrong_ids=1)
    task_id = create(client, callback=receiver.url)["data"]["taskId"]
    got = receiver.take(5)
    ids = [body["data"]["taskId"] for _, body, _ in got]
    assert (len(set(ids)), ids[-1]) == (5, task_id)
    assert ["x-webhook-signature" in headers for headers, _, _ in got] == [False] * 4 + [True]
    row = until(lambda: row if len((row := provider.ledger()[0])["callbacks"]) == 5 else None)
    assert [delivery.get("invented") for delivery in row["callbacks"]] == [*ids[:4], None]
    assert provider.summary()["created"] == 1
