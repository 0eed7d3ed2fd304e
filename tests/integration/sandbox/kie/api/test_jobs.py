"""The stand-in's answers without faults, and its limits."""

import io
import json
from typing import Any

import httpx
import pytest
from PIL import Image

from sandbox.kie.server import SandboxProvider
from tests.integration.sandbox.conftest import client_of, create, ended, order, record


def test_a_task_delivers_images_of_the_requested_size_and_number(client: httpx.Client) -> None:
    accepted = create(client, num_images="3", image_size="portrait_16_9", rendering_speed="TURBO")
    data = ended(client, accepted["data"]["taskId"])
    urls = json.loads(data["resultJson"])["resultUrls"]
    sizes = [Image.open(io.BytesIO(client.get(url).content)).size for url in urls]
    assert sizes == [(576, 1024)] * 3
    assert data["creditsConsumed"] == 10.5


def test_an_answer_has_the_form_of_a_real_one(client: httpx.Client) -> None:
    response = client.post("/api/v1/jobs/createTask", json=order())
    data = response.json()["data"]
    assert data["taskId"] == data["recordId"]
    assert len(data["taskId"]) == 32
    assert response.headers["content-type"] == "application/json;charset=UTF-8"
    assert "JSESSIONID" in response.headers["set-cookie"]
    assert "retry-after" not in response.headers


def test_a_wrong_key_is_refused_everywhere(provider: SandboxProvider) -> None:
    with client_of(provider, key="stolen") as stranger:
        answers = [
            create(stranger),
            record(stranger, "0" * 32),
            stranger.get("/api/v1/chat/credit").json(),
            stranger.post("/api/v1/common/download-url", json={"url": "x"}).json(),
        ]
    assert [answer["code"] for answer in answers] == [401] * 4
    assert provider.ledger() == []


def test_bad_requests_create_nothing(client: httpx.Client, provider: SandboxProvider) -> None:
    codes = [
        create(client, "")["code"],
        create(client, style="FICTION")["code"],
        client.post("/api/v1/jobs/createTask", json={"model": "x", "input": {"prompt": "a"}}).json()["code"],
        client.post("/api/v1/jobs/createTask", content=b"{").json()["code"],
    ]
    assert codes == [500, 500, 422, 422]
    assert provider.summary()["created"] == 0


def test_an_unknown_task_and_a_missing_id_have_different_codes(client: httpx.Client) -> None:
    assert record(client, "0" * 32) == {"code": 422, "msg": "recordInfo is null", "data": None}
    assert client.get("/api/v1/jobs/recordInfo").json()["code"] == 400


def test_a_task_reduces_the_balance_and_a_failure_restores_it(
    client: httpx.Client, provider: SandboxProvider
) -> None:
    before = client.get("/api/v1/chat/credit").json()["data"]
    ended(client, create(client, rendering_speed="QUALITY")["data"]["taskId"])
    provider.faults(task_fail={"next": 1})
    failed = create(client, rendering_speed="QUALITY")["data"]["taskId"]
    assert ended(client, failed)["state"] == "fail"
    assert client.get("/api/v1/chat/credit").json()["data"] == before - 10


def test_the_ledger_shows_a_task_s_request_and_the_end_of_its_call(
    client: httpx.Client, provider: SandboxProvider
) -> None:
    create(client, "only this one", callback="http://127.0.0.1:1/callbacks/job-7/token")
    create(client, "another")
    [row] = provider.ledger(prompt="only this one")
    assert row["callback_url"] == "http://127.0.0.1:1/callbacks/job-7/token"
    assert row["input"] == {"prompt": "only this one"}
    assert (row["billed"], row["call_ended"]) == (7.0, "answered")
    assert provider.summary()["calls"]["createTask"] == {"200": 2}


def test_the_window_refuses_the_twenty_first_call_and_does_not_count_it() -> None:
    with SandboxProvider() as provider, client_of(provider) as client:
        codes = [create(client, f"kite {number}")["code"] for number in range(25)]
        summary = provider.summary()
    assert codes == [200] * 20 + [429] * 5
    assert (summary["created"], summary["most_creates_in_window"]) == (20, 20)
    assert summary["calls"]["createTask"] == {"200": 20, "429": 5}


def test_reads_are_limited_per_key() -> None:
    with (
        SandboxProvider(keys="one,two", reads=3) as provider,
        client_of(provider, "one") as first,
        client_of(provider, "two") as second,
    ):
        codes = [record(first, "0" * 32)["code"] for _ in range(4)]
        assert codes == [422, 422, 422, 429]
        assert record(second, "0" * 32)["code"] == 422


def test_the_dialect_of_errors_can_be_switched() -> None:
    dialect: dict[str, Any] = {"http_status": 1.0, "message_key": "message", "no_data": "absent"}
    with SandboxProvider(**dialect) as provider, client_of(provider) as client:
        response = client.post("/api/v1/jobs/createTask", json=order(style="FICTION"))
    assert response.status_code == 500
    assert response.json() == {"code": 500, "message": "style is not within the range of allowed options"}


def test_a_share_of_errors_can_have_a_real_http_status() -> None:
    with SandboxProvider(http_status=0.5, seed=1) as provider, client_of(provider) as client:
        statuses = {
            client.post("/api/v1/jobs/createTask", json=order(f"{n}", style="x")).status_code
            for n in range(30)
        }
    assert statuses == {200, 500}


@pytest.mark.parametrize("headers", [{"User-Agent": ""}, {"User-Agent": "browser"}])
def test_files_require_a_user_agent_and_no_key(provider: SandboxProvider, headers: dict[str, str]) -> None:
    with client_of(provider) as client:
        url = json.loads(ended(client, create(client)["data"]["taskId"])["resultJson"])["resultUrls"][0]
    response = httpx.get(url, headers=headers, trust_env=False)
    assert response.status_code == (200 if headers["User-Agent"] else 403)


def test_files_expire() -> None:
    with SandboxProvider(duration=0.05, file_seconds=0.0) as provider, client_of(provider) as client:
        url = json.loads(ended(client, create(client)["data"]["taskId"])["resultJson"])["resultUrls"][0]
        assert client.get(url).status_code == 404


def test_a_download_link_is_a_bare_string_and_only_for_own_files(client: httpx.Client) -> None:
    url = json.loads(ended(client, create(client)["data"]["taskId"])["resultJson"])["resultUrls"][0]
    answer = client.post("/api/v1/common/download-url", json={"url": url}).json()
    assert client.get(answer["data"]).headers["content-type"] == "image/png"
    expired = answer["data"].partition("?")[0] + "?until=1000"
    assert client.get(expired).status_code == 404
    foreign = client.post("/api/v1/common/download-url", json={"url": "https://example.test/a.png"}).json()
    assert foreign == {"code": 422, "msg": "url is wrong", "data": None}
