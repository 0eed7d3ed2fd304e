"""Each family of faults, as a client and a bare socket see it."""

import json
import socket
import time
from typing import Any

import httpx
import pytest

from sandbox.kie.server import SandboxProvider
from tests.integration.sandbox.conftest import create, ended, order, record, until


def bytes_seen(provider: SandboxProvider) -> tuple[bytes, bool]:
    """The bytes that a bare socket reads in answer to createTask, and True if the connection was reset."""
    body = json.dumps(order()).encode()
    head = (
        "POST /api/v1/jobs/createTask HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sandbox-key\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    seen = b""
    with socket.create_connection(
        ("127.0.0.1", int(provider.url.rsplit(":", 1)[1])), timeout=5
    ) as connection:
        connection.sendall(head.encode() + body)
        try:
            while part := connection.recv(4096):
                seen += part
        except ConnectionResetError:
            return seen, True
    return seen, False


def test_a_drop_before_acceptance_is_a_bare_reset_without_a_task(provider: SandboxProvider) -> None:
    provider.faults(drop_before_accept={"next": 1})
    assert bytes_seen(provider) == (b"", True)
    assert provider.ledger() == []


def test_a_drop_after_acceptance_is_a_bare_close_with_a_billed_task(
    provider: SandboxProvider,
) -> None:
    provider.faults(accept_then_drop={"next": 1})
    assert bytes_seen(provider) == (b"", False)
    [row] = provider.ledger()
    assert (row["call_ended"], row["billed"]) == ("dropped", 7.0)


def test_a_reset_in_mid_body_leaves_half_an_answer(provider: SandboxProvider) -> None:
    provider.faults(reset_mid_body={"next": 1})
    seen, reset = bytes_seen(provider)
    assert reset
    assert seen.startswith(b"HTTP/1.1 200")
    body = seen.partition(b"\r\n\r\n")[2]
    assert body.startswith(b'{"code": 200')
    assert not body.endswith(b"}")
    assert provider.ledger()[0]["call_ended"] == "reset_mid_body"


@pytest.mark.parametrize("fault", ["drop_before_accept", "accept_then_drop", "reset_mid_body"])
def test_a_broken_connection_is_a_transport_error_for_the_client(
    fault: str, provider: SandboxProvider, client: httpx.Client
) -> None:
    provider.faults(**{fault: {"next": 1}})
    with pytest.raises(httpx.TransportError):
        create(client)
    assert create(client)["code"] == 200


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("create_401", 401),
        ("create_402", 402),
        ("create_429", 429),
        ("create_433", 433),
        ("create_455", 455),
        ("create_500", 500),
        ("create_500_input", 500),
        ("create_500_credits", 500),
        ("create_500_paused", 500),
        ("create_505", 505),
        ("unknown_code", 777),
    ],
)
def test_a_refusal_on_demand_creates_nothing(
    fault: str, code: int, provider: SandboxProvider, client: httpx.Client
) -> None:
    provider.faults(**{fault: {"next": 1}})
    assert [create(client)["code"] for _ in range(2)] == [code, 200]
    assert provider.summary()["created"] == 1


@pytest.mark.parametrize(("fault", "status", "tasks"), [("html_before", 502, 0), ("html_after", 524, 1)])
def test_a_gateway_page_can_come_before_or_after_acceptance(
    fault: str, status: int, tasks: int, provider: SandboxProvider, client: httpx.Client
) -> None:
    provider.faults(**{fault: {"next": 1}})
    response = client.post("/api/v1/jobs/createTask", json=order())
    assert (response.status_code, response.headers["content-type"][:9]) == (status, "text/html")
    assert provider.summary()["created"] == tasks


@pytest.mark.parametrize(
    ("fault", "end"),
    [
        ("no_task_id", "no_task_id"),
        ("truncated_json", "truncated"),
        ("create_500_after", "error_500"),
        ("html_after", "html"),
    ],
)
def test_an_answer_without_an_id_hides_a_billed_task(
    fault: str, end: str, provider: SandboxProvider, client: httpx.Client
) -> None:
    provider.faults(**{fault: {"next": 1}})
    response = client.post("/api/v1/jobs/createTask", json=order())
    [row] = provider.ledger()
    assert row["task_id"] not in response.text
    assert (row["call_ended"], row["billed"]) == (end, 7.0)


def test_a_slow_answer_is_late_or_finds_the_client_gone(
    provider: SandboxProvider, client: httpx.Client
) -> None:
    provider.faults(slow_answer=0.4)
    began = time.monotonic()
    assert create(client, "patient")["code"] == 200
    assert time.monotonic() - began >= 0.4
    with pytest.raises(httpx.ReadTimeout):
        client.post("/api/v1/jobs/createTask", json=order("hasty"), timeout=0.1)
    until(lambda: provider.ledger(prompt="hasty")[0]["call_ended"] == "client_gone")


def test_a_call_can_hang(provider: SandboxProvider, client: httpx.Client) -> None:
    provider.faults(hang={"next": 1})
    with pytest.raises(httpx.ReadTimeout):
        client.post("/api/v1/jobs/createTask", json=order(), timeout=0.3)
    provider.faults(record_hang={"next": 1})
    with pytest.raises(httpx.ReadTimeout):
        client.get("/api/v1/jobs/recordInfo", params={"taskId": "0" * 32}, timeout=0.3)
    until(lambda: [call["outcome"] for call in provider.calls()] == ["client_gone"] * 2)
    assert provider.ledger() == []


def test_one_false_401_is_followed_by_good_answers(provider: SandboxProvider, client: httpx.Client) -> None:
    provider.faults(create_401={"next": 1})
    assert [create(client)["code"] for _ in range(3)] == [401, 200, 200]


def test_a_record_is_null_at_first(provider: SandboxProvider, client: httpx.Client) -> None:
    provider.faults(record_null_seconds=0.3)
    task_id = create(client)["data"]["taskId"]
    assert record(client, task_id) == {"code": 422, "msg": "recordInfo is null", "data": None}
    until(lambda: record(client, task_id)["code"] == 200)


def test_a_task_can_be_stuck(provider: SandboxProvider, client: httpx.Client) -> None:
    provider.faults(stuck={"next": 1})
    stuck, other = create(client, "stuck")["data"]["taskId"], create(client, "other")["data"]["taskId"]
    ended(client, other)
    assert record(client, stuck)["data"]["state"] == "waiting"
    assert provider.summary()["states"] == {"waiting": 1, "success": 1}


def test_a_state_can_be_unknown_until_the_end(provider: SandboxProvider, client: httpx.Client) -> None:
    provider.faults(unknown_state=1)
    task_id = create(client)["data"]["taskId"]
    assert record(client, task_id)["data"]["state"] == "postprocessing"
    assert ended(client, task_id)["state"] == "success"


@pytest.mark.parametrize(
    ("fault", "result"),
    [("result_null", type(None)), ("result_object", dict), ("result_invalid", str)],
)
def test_a_result_can_have_another_shape(
    fault: str, result: type[Any], provider: SandboxProvider, client: httpx.Client
) -> None:
    provider.faults(**{fault: 1})
    assert type(ended(client, create(client)["data"]["taskId"])["resultJson"]) is result


@pytest.mark.parametrize(("fault", "kept"), [("no_urls", 0), ("fewer_urls", 1), ("empty_url", 1)])
def test_urls_can_be_missing_from_a_charged_task(
    fault: str, kept: int, provider: SandboxProvider, client: httpx.Client
) -> None:
    provider.faults(**{fault: 1})
    data = ended(client, create(client, num_images="2")["data"]["taskId"])
    assert len([url for url in json.loads(data["resultJson"])["resultUrls"] if url]) == kept
    assert data["creditsConsumed"] == 14


def test_credits_can_be_missing(provider: SandboxProvider, client: httpx.Client) -> None:
    provider.faults(credits_missing=1)
    assert "creditsConsumed" not in ended(client, create(client)["data"]["taskId"])


def test_a_task_can_fail_for_its_content(provider: SandboxProvider, client: httpx.Client) -> None:
    provider.faults(task_fail={"variant": "moderation"})
    data = ended(client, create(client)["data"]["taskId"])
    assert (data["state"], data["failCode"]) == ("fail", "422")
    assert "content policies" in data["failMsg"]
    assert provider.ledger()[0]["billed"] == 0


def test_reads_can_fail_without_affecting_the_task(provider: SandboxProvider, client: httpx.Client) -> None:
    task_id = create(client)["data"]["taskId"]
    provider.faults(record_html={"next": 1})
    page = client.get("/api/v1/jobs/recordInfo", params={"taskId": task_id})
    assert (page.status_code, page.headers["content-type"][:9]) == (502, "text/html")
    provider.faults(record_500={"next": 1})
    assert record(client, task_id)["code"] == 500
    provider.faults(record_drop={"next": 1})
    with pytest.raises(httpx.TransportError):
        record(client, task_id)
    assert ended(client, task_id)["state"] == "success"


def test_files_can_be_missing_truncated_or_a_page(provider: SandboxProvider, client: httpx.Client) -> None:
    url = json.loads(ended(client, create(client)["data"]["taskId"])["resultJson"])["resultUrls"][0]
    provider.faults(file_404={"next": 1})
    assert client.get(url).status_code == 404
    provider.faults(file_html={"next": 1})
    assert client.get(url).headers["content-type"].startswith("text/html")
    provider.faults(file_truncated={"next": 1})
    with pytest.raises(httpx.RemoteProtocolError):
        client.get(url)
    assert client.get(url).content.startswith(b"\x89PNG")


def test_a_reset_restores_the_faults_of_the_start() -> None:
    with SandboxProvider(faults={"create_455": 1}) as provider:
        provider.faults(create_455=0, stuck=0.5)
        provider.reset()
        assert set(provider.summary()["faults"]) == {"create_455"}


def test_an_unknown_fault_is_named(provider: SandboxProvider) -> None:
    with pytest.raises(ValueError, match="create_430: no such fault"):
        provider.faults(create_430=1)
    with pytest.raises(ValueError, match="create_430: no such fault"):
        SandboxProvider(faults={"create_430": 1})


def test_maintenance_ends_by_itself(provider: SandboxProvider, client: httpx.Client) -> None:
    provider.faults(create_455={"seconds": 0.5})
    assert create(client)["code"] == 455
    until(lambda: create(client)["code"] == 200)
    assert provider.summary()["faults"] == {}
