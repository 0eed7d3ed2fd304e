"""Shapes of the result, and URLs that come late."""

import json
from typing import Any

import httpx
import pytest

from sandbox.kie.faults.url_shapes import LATE, LONG_URL
from sandbox.kie.server import SandboxProvider
from tests.integration.sandbox.conftest import create, ended, record, until


def shaped(provider: SandboxProvider, client: httpx.Client, variant: str) -> tuple[dict[str, Any], list[str]]:
    """The record of a task with two images, and the true URLs."""
    provider.faults(url_shape={"variant": variant})
    task_id = create(client, num_images="2")["data"]["taskId"]
    return ended(client, task_id), [f"{provider.url}/files/{task_id}_{index}.png" for index in (0, 1)]


def result(data: dict[str, Any]) -> Any:
    return json.loads(data["resultJson"])["resultUrls"]


def test_one_url_can_be_a_string(provider: SandboxProvider, client: httpx.Client) -> None:
    data, urls = shaped(provider, client, "string")
    assert result(data) == urls[0]


def test_urls_can_be_in_objects(provider: SandboxProvider, client: httpx.Client) -> None:
    data, urls = shaped(provider, client, "object")
    assert result(data) == {"url": urls[0]}
    data, urls = shaped(provider, client, "objects")
    assert result(data) == [{"url": url} for url in urls]


def test_urls_can_lack_their_beginning(provider: SandboxProvider, client: httpx.Client) -> None:
    data, urls = shaped(provider, client, "relative")
    assert [provider.url + url for url in result(data)] == urls
    data, urls = shaped(provider, client, "protocol_relative")
    assert ["http:" + url for url in result(data)] == urls
    assert result(data)[0].startswith("//127.0.0.1:")


def test_urls_can_be_long_and_are_good(provider: SandboxProvider, client: httpx.Client) -> None:
    data, _ = shaped(provider, client, "long")
    assert {len(url) for url in result(data)} == {LONG_URL}
    assert client.get(result(data)[0]).content.startswith(b"\x89PNG")


def test_urls_can_be_in_the_response_only(provider: SandboxProvider, client: httpx.Client) -> None:
    data, urls = shaped(provider, client, "response")
    assert (data["resultJson"], data["response"]) == ("", {"resultUrls": urls})
    data, urls = shaped(provider, client, "response_string")
    assert json.loads(data["response"]) == {"resultUrls": urls}


def test_the_result_can_have_another_layer_or_another_key(
    provider: SandboxProvider, client: httpx.Client
) -> None:
    data, urls = shaped(provider, client, "nested")
    assert json.loads(json.loads(data["resultJson"])) == {"resultUrls": urls}
    data, urls = shaped(provider, client, "bare_list")
    assert json.loads(data["resultJson"]) == urls
    data, urls = shaped(provider, client, "other_key")
    assert json.loads(data["resultJson"]) == {"images": [{"url": url} for url in urls]}


@pytest.mark.parametrize("variant", LATE)
def test_a_success_can_be_there_before_its_urls(
    variant: str, provider: SandboxProvider, client: httpx.Client
) -> None:
    provider.faults(urls_late={"seconds": 0.5, "variant": variant})
    task_id = create(client)["data"]["taskId"]
    first = ended(client, task_id)
    assert (first["state"], first["resultJson"]) == ("success", LATE[variant]["resultJson"])
    assert first["creditsConsumed"] == 7

    def urls() -> Any:
        data = record(client, task_id)["data"]
        return data["resultJson"] if data["resultJson"] != first["resultJson"] else None

    assert json.loads(until(urls)) == {"resultUrls": [f"{provider.url}/files/{task_id}_0.png"]}
