"""Faults of result files, as a client and a bare socket see them."""

import hashlib
import json
import socket
import time
from functools import partial
from typing import Any

import httpx
import pytest

from sandbox.kie.faults.files import LINKS
from sandbox.kie.server import SandboxProvider
from tests.integration.sandbox.conftest import create, ended, until


def url_of(client: httpx.Client, prompt: str = "a red kite") -> str:
    data = ended(client, create(client, prompt, image_size="square")["data"]["taskId"])
    return str(json.loads(data["resultJson"])["resultUrls"][0])


def seen(url: str) -> tuple[bytes, bytes, bool]:
    """The head and the body that a bare socket reads, and True if the connection was reset."""
    place = httpx.URL(url)
    came = b""
    with socket.create_connection((place.host, place.port or 80), timeout=5) as connection:
        connection.sendall(f"GET {place.path} HTTP/1.1\r\nHost: x\r\nUser-Agent: test\r\n\r\n".encode())
        try:
            while part := connection.recv(65_536):
                came += part
        except ConnectionResetError:
            return *_halves(came), True
    return *_halves(came), False


def _halves(came: bytes) -> tuple[bytes, bytes]:
    head, _, body = came.partition(b"\r\n\r\n")
    return head.lower(), body


@pytest.mark.parametrize(("variant", "reset"), [("half", False), ("reset", True), ("undeclared", False)])
def test_a_truncated_file_ends_in_the_middle(variant: str, reset: bool, client: httpx.Client) -> None:
    url = url_of(client, f"a kite [fault:file_truncated={variant}*1]")
    head, body, was_reset = seen(url)
    whole = client.get(url).content
    assert (body, was_reset) == (whole[: len(whole) // 2], reset)
    assert b"content-type: image/png" in head
    declared = b"content-length: %d" % (len(whole) // 2 * 2)
    assert (declared in head) is (variant != "undeclared")
    assert b"transfer-encoding" not in head


def test_chunks_can_end_without_the_last_one(client: httpx.Client) -> None:
    url = url_of(client, "a kite [fault:file_truncated=chunked*1]")
    head, body, _ = seen(url)
    assert b"transfer-encoding: chunked" in head
    assert body.partition(b"\r\n")[2].startswith(b"\x89PNG")
    assert not body.endswith(b"0\r\n\r\n")


def test_a_file_can_end_before_its_first_byte(client: httpx.Client) -> None:
    assert seen(url_of(client, "a kite [fault:file_truncated=nothing]")) == (b"", b"", True)


def test_what_ends_too_early_can_look_whole_to_http(client: httpx.Client) -> None:
    url = url_of(client, "a kite [fault:file_truncated=shortened*1]")
    half, whole = client.get(url).content, client.get(url).content
    assert half == whole[: len(whole) // 2]


@pytest.mark.parametrize("variant", ["drip", "stall", "head"])
def test_a_slow_file_takes_the_given_seconds(variant: str, client: httpx.Client) -> None:
    url = url_of(client, f"a kite [fault:file_slow={variant}@0.6*1]")
    began = time.monotonic()
    slow = client.get(url).content
    assert time.monotonic() - began >= 0.59
    assert slow == client.get(url).content


def test_a_client_that_waits_for_less_gets_nothing(provider: SandboxProvider, client: httpx.Client) -> None:
    url = url_of(client, "a kite [fault:file_slow=head@60]")
    with pytest.raises(httpx.ReadTimeout):
        client.get(url, timeout=0.2)
    # The client may give up before the stand-in has counted its request.
    until(lambda: provider.summary()["calls"].get("files") == {"file_slow": 1})


@pytest.mark.parametrize(("variant", "redirects"), [("once", 1), ("relative", 1), ("three", 3), ("four", 4)])
def test_redirects_lead_to_the_file(variant: str, redirects: int, client: httpx.Client) -> None:
    answer = client.get(url_of(client, f"a kite [fault:file_redirect={variant}]"), follow_redirects=True)
    assert [each.status_code for each in answer.history] == [302] * redirects
    assert answer.content.startswith(b"\x89PNG")


def test_a_redirect_can_lead_back_or_nowhere(client: httpx.Client) -> None:
    with pytest.raises(httpx.TooManyRedirects):
        client.get(url_of(client, "a kite [fault:file_redirect=loop]"), follow_redirects=True)
    nowhere = client.get(url_of(client, "a kite [fault:file_redirect=nowhere]"))
    assert (nowhere.status_code, "location" in nowhere.headers) == (302, False)


@pytest.mark.parametrize("variant", ["declared", "undeclared"])
def test_a_client_can_leave_a_huge_file(variant: str, client: httpx.Client) -> None:
    with client.stream("GET", url_of(client, f"a kite [fault:file_huge={variant}]")) as answer:
        assert next(answer.iter_raw()).startswith(b"\x89PNG")
        assert ("content-length" in answer.headers) is (variant == "declared")
    assert url_of(client)


def test_a_bomb_is_no_burden_to_the_stand_in(client: httpx.Client) -> None:
    with client.stream("GET", url_of(client, "a kite [fault:file_gzip]")) as answer:
        size = sum(map(len, answer.iter_raw()))
    assert (answer.headers["content-encoding"], size == int(answer.headers["content-length"])) == (
        "gzip",
        True,
    )
    assert size < 2**21


@pytest.mark.parametrize("variant", [name for name, (kind, _) in LINKS.items() if kind in ("page", "drop")])
def test_a_link_may_not_come(variant: str, client: httpx.Client) -> None:
    body = {"url": url_of(client, f"a kite [fault:link_odd={variant}]")}
    if variant == "drop":
        with pytest.raises(httpx.TransportError):
            client.post("/api/v1/common/download-url", json=body)
    else:
        assert client.post("/api/v1/common/download-url", json=body).status_code == 502


def test_the_list_of_files_has_the_hash_of_each_whatever_faults_did(
    provider: SandboxProvider, client: httpx.Client
) -> None:
    provider.faults(file_truncated={"probability": 0.3}, file_type={"probability": 0.3})
    hashes = {}
    for number in range(5):
        url = url_of(client, f"kite {number}")
        hashes[httpx.URL(url).path] = until(partial(_whole, client, url))
    rows: dict[str, dict[str, Any]] = {row["path"]: row for row in provider.files()}
    assert {path: row["sha256"] for path, row in rows.items()} == hashes
    assert all(row["fetches"] >= row["served"] == 1 for row in rows.values())


def _whole(client: httpx.Client, url: str) -> str | None:
    try:
        answer = client.get(url)
    except httpx.RemoteProtocolError:
        return None
    right = answer.headers["content-type"] == "image/png"
    return hashlib.sha256(answer.content).hexdigest() if right else None
