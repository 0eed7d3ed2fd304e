"""Answers that repeat a secret of the request."""

import base64
import json
from urllib.parse import unquote

import httpx
import pytest

from sandbox.kie.faults.echoes import ECHOES
from sandbox.kie.server import SandboxProvider
from tests.integration.sandbox.conftest import order

KEY = "sandbox-key"
URL = "https://hooks.example.test/callbacks/job-7/token-of-the-callback"


def echoed(provider: SandboxProvider, client: httpx.Client, variant: str) -> httpx.Response:
    provider.faults(echo_secret={"next": 1, "variant": variant})
    return client.post("/api/v1/jobs/createTask", json=order(callback=URL))


def text(answer: httpx.Response) -> str:
    body = answer.json()
    assert (answer.status_code, body["code"], body["data"]) == (200, 422, None)
    return str(body["msg"])


@pytest.mark.parametrize("variant", ECHOES)
def test_a_refusal_creates_nothing_and_is_counted_by_name(
    variant: str, provider: SandboxProvider, client: httpx.Client
) -> None:
    echoed(provider, client, variant)
    assert [call["outcome"] for call in provider.calls()] == ["echo_secret"]
    assert provider.ledger() == []


def test_the_key_is_there_in_plain_and_in_capitals(provider: SandboxProvider, client: httpx.Client) -> None:
    assert KEY in text(echoed(provider, client, "key"))
    assert KEY.upper() in text(echoed(provider, client, "key_upper"))


def test_the_key_is_there_in_escapes_of_json(provider: SandboxProvider, client: httpx.Client) -> None:
    answer = echoed(provider, client, "key_escaped")
    assert KEY not in answer.text
    assert "\\u0073\\u0061" in answer.text
    assert KEY in text(answer)
    twice = text(echoed(provider, client, "key_escaped_twice"))
    assert KEY not in twice
    assert KEY in json.loads(f'"{twice}"')


def test_the_key_is_there_in_another_encoding(provider: SandboxProvider, client: httpx.Client) -> None:
    answer = echoed(provider, client, "key_utf16")
    assert answer.headers["content-type"].endswith("UTF-16")
    assert KEY.encode() not in answer.content
    assert KEY in json.loads(answer.content.decode("utf-16"))["msg"]
    percent = text(echoed(provider, client, "key_percent"))
    assert "%73%61" in percent
    assert KEY in unquote(percent)
    assert base64.b64encode(KEY.encode()).decode() in text(echoed(provider, client, "key_base64"))


def test_the_key_is_on_a_page_or_in_the_reason_phrase(
    provider: SandboxProvider, client: httpx.Client
) -> None:
    page = echoed(provider, client, "key_page")
    assert (page.status_code, page.headers["content-type"][:9]) == (502, "text/html")
    assert f"Bearer {KEY}" in page.text
    refused = echoed(provider, client, "key_reason")
    assert (refused.status_code, refused.reason_phrase) == (422, f"Rejected {KEY}")


def test_the_callback_url_is_there_whole_or_cut(provider: SandboxProvider, client: httpx.Client) -> None:
    assert URL in text(echoed(provider, client, "callback"))
    cut = text(echoed(provider, client, "callback_cut"))
    assert "/callbacks/job-7/token-of-t was rejected" in cut
    assert URL in unquote(text(echoed(provider, client, "callback_percent")))
    slashes = echoed(provider, client, "callback_slashes")
    assert URL.replace("/", "\\/") in slashes.text
    assert URL in text(slashes)
