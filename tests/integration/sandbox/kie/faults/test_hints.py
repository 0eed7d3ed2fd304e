"""Hints when to try again."""

import time
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from sandbox.kie.server import SandboxProvider
from tests.integration.sandbox.conftest import client_of, create, order


def hinted(provider: SandboxProvider, client: httpx.Client, variant: str, **fault: Any) -> httpx.Response:
    provider.faults(**(fault or {"create_429": {"next": 1}}))
    provider.faults(retry_after={"seconds": 2.5, "variant": variant})
    return client.post("/api/v1/jobs/createTask", json=order())


@pytest.mark.parametrize(
    ("variant", "header", "value"),
    [
        ("seconds", "retry-after", "3"),
        ("float", "retry-after", "2.50"),
        ("nonsense", "retry-after", "soon"),
        ("negative", "retry-after", "-3"),
        ("header_ms", "retry-after-ms", "2500"),
    ],
)
def test_a_hint_can_be_a_header(
    variant: str, header: str, value: str, provider: SandboxProvider, client: httpx.Client
) -> None:
    answer = hinted(provider, client, variant)
    assert (answer.json()["code"], answer.headers[header]) == (429, value)


@pytest.mark.parametrize(("variant", "sign"), [("date", 1), ("past_date", -1)])
def test_a_hint_can_be_a_date(
    variant: str, sign: int, provider: SandboxProvider, client: httpx.Client
) -> None:
    header = hinted(provider, client, variant).headers["retry-after"]
    assert header.endswith(" GMT")
    assert abs(parsedate_to_datetime(header).timestamp() - time.time() - sign * 2.5) < 2


@pytest.mark.parametrize(
    ("variant", "field", "value"),
    [
        ("body_seconds", "retry_after", 2.5),
        ("body_camel", "retryAfter", 2.5),
        ("body_ms", "retry_after_ms", 2500),
        ("body_camel_ms", "retryAfterMs", 2500),
        ("data_seconds", "data", {"retryAfter": 2.5}),
        (
            "text",
            "msg",
            "Your call frequency is too high. Please try again later. Please try again in 2.5 seconds.",
        ),
    ],
)
def test_a_hint_can_be_in_the_body(
    variant: str, field: str, value: Any, provider: SandboxProvider, client: httpx.Client
) -> None:
    answer = hinted(provider, client, variant)
    assert answer.json()[field] == value
    assert "retry-after" not in answer.headers


def test_maintenance_and_pages_have_hints_and_other_refusals_none(
    provider: SandboxProvider, client: httpx.Client
) -> None:
    assert hinted(provider, client, "seconds", create_455={"next": 1}).headers["retry-after"] == "3"
    page = {"next": 1, "variant": "503"}
    assert hinted(provider, client, "seconds", html_before=page).headers["retry-after"] == "3"
    assert "retry-after" not in hinted(provider, client, "seconds", create_500={"next": 1}).headers


def test_a_limit_that_was_really_reached_has_the_hint_as_well() -> None:
    with (
        SandboxProvider(reads=1, creates=1, window_seconds=600) as strict,
        client_of(strict) as client,
    ):
        strict.faults(retry_after=4)
        create(client)
        assert client.post("/api/v1/jobs/createTask", json=order()).headers["retry-after"] == "4"
        reads = [client.get("/api/v1/jobs/recordInfo", params={"taskId": "x"}) for _ in range(5)]
        assert {read.headers.get("retry-after") for read in reads if read.json()["code"] == 429} == {"4"}
