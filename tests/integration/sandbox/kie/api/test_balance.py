"""The balance, and answers that tell nothing of it."""

from typing import Any

import httpx
import pytest

from sandbox.kie.server import SandboxProvider
from tests.integration.sandbox.conftest import create


@pytest.mark.parametrize(
    ("variant", "data"),
    [
        ("null", None),
        ("object", {"balance": 1000.5}),
        ("list", [1000.5]),
        ("text", "1,000.50"),
        ("number_text", "1000.5"),
        ("words", "unlimited"),
        ("stale", 0),
        ("negative", -5),
        ("infinite", float("inf")),
    ],
)
def test_a_balance_can_be_unreadable_or_wrong(
    variant: str, data: Any, provider: SandboxProvider, client: httpx.Client
) -> None:
    provider.faults(balance_odd={"next": 1, "variant": variant})
    answer = client.get("/api/v1/chat/credit").json()
    assert (answer["code"], answer["data"]) == (200, data)
    assert client.get("/api/v1/chat/credit").json()["data"] == 1_000_000


@pytest.mark.parametrize("code", ["401", "429", "500"])
def test_a_balance_can_be_refused(code: str, provider: SandboxProvider, client: httpx.Client) -> None:
    provider.faults(balance_odd={"next": 1, "variant": code})
    assert str(client.get("/api/v1/chat/credit").json()["code"]) == code


@pytest.mark.parametrize(("variant", "status"), [("404", 404), ("html", 502), ("403", 403), ("301", 301)])
def test_a_page_can_come_in_place_of_the_balance(
    variant: str, status: int, provider: SandboxProvider, client: httpx.Client
) -> None:
    provider.faults(balance_odd={"next": 1, "variant": variant})
    page = client.get("/api/v1/chat/credit")
    assert (page.status_code, page.headers["content-type"][:9]) == (status, "text/html")


def test_the_connection_can_break_off(provider: SandboxProvider, client: httpx.Client) -> None:
    provider.faults(balance_odd={"next": 1, "variant": "drop"})
    with pytest.raises(httpx.TransportError):
        client.get("/api/v1/chat/credit")
    assert provider.summary()["calls"]["credit"] == {"balance_odd": 1}


def test_the_balance_can_hang(provider: SandboxProvider, client: httpx.Client) -> None:
    provider.faults(balance_odd={"next": 1, "variant": "hang"})
    with pytest.raises(httpx.ReadTimeout):
        client.get("/api/v1/chat/credit", timeout=0.3)


def test_after_a_top_up_a_stale_balance_contradicts_createtask(
    provider: SandboxProvider, client: httpx.Client
) -> None:
    provider.set_credits(0)
    assert create(client)["code"] == 402
    provider.set_credits(500)
    provider.faults(balance_odd={"variant": "stale"})
    assert client.get("/api/v1/chat/credit").json()["data"] == 0
    assert create(client)["code"] == 200
