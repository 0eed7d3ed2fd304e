"""Pages of intermediaries before and after acceptance, on reads and for files."""

import json

import httpx
import pytest

from sandbox.kie.faults.pages import ELSEWHERE, PAGES
from sandbox.kie.server import SandboxProvider
from tests.integration.sandbox.conftest import create, ended, order


def post(client: httpx.Client) -> httpx.Response:
    return client.post("/api/v1/jobs/createTask", json=order())


@pytest.mark.parametrize("variant", PAGES)
@pytest.mark.parametrize(("fault", "tasks"), [("html_before", 0), ("html_after", 1)])
def test_each_page_can_come_before_and_after_acceptance(
    fault: str, tasks: int, variant: str, provider: SandboxProvider, client: httpx.Client
) -> None:
    provider.faults(**{fault: {"next": 1, "variant": variant}})
    page = post(client)
    assert str(page.status_code) == variant[:3]
    assert page.headers["content-type"].startswith(PAGES[variant].media_type)
    assert page.text == PAGES[variant].body
    assert provider.summary()["created"] == tasks


@pytest.mark.parametrize(
    ("variant", "text"),
    [
        ("525", "<h1>525 SSL handshake failed</h1>"),
        ("502_json", '{"message": "Internal server error"}'),
        ("503_text", "Internal error"),
        ("504_empty", ""),
    ],
)
def test_a_page_has_no_code_whatever_its_form(
    variant: str, text: str, provider: SandboxProvider, client: httpx.Client
) -> None:
    provider.faults(html_before={"next": 1, "variant": variant})
    page = post(client).text
    assert text in page
    assert "code" not in page


def test_a_challenge_says_that_it_is_one(provider: SandboxProvider, client: httpx.Client) -> None:
    provider.faults(html_before={"next": 1, "variant": "403"})
    assert post(client).headers["cf-mitigated"] == "challenge"


@pytest.mark.parametrize("variant", ["301", "302", "307", "308"])
def test_a_redirect_names_its_target(variant: str, provider: SandboxProvider, client: httpx.Client) -> None:
    provider.faults(html_before={"next": 1, "variant": variant})
    page = post(client)
    assert (str(page.status_code), page.headers["location"]) == (variant, ELSEWHERE)


def test_an_outage_of_the_gateway_ends_by_itself(provider: SandboxProvider, client: httpx.Client) -> None:
    provider.faults(html_before={"seconds": 60, "variant": "525"})
    assert [post(client).status_code for _ in range(3)] == [525] * 3
    left = provider.faults()["html_before"]
    assert 0 < left["seconds"] <= 60


def test_reads_and_files_meet_the_same_pages(provider: SandboxProvider, client: httpx.Client) -> None:
    task_id = create(client)["data"]["taskId"]
    url = json.loads(ended(client, task_id)["resultJson"])["resultUrls"][0]
    provider.faults(record_html={"next": 1, "variant": "403"}, file_html={"next": 1, "variant": "503"})
    page = client.get("/api/v1/jobs/recordInfo", params={"taskId": task_id})
    assert (page.status_code, page.headers["cf-mitigated"]) == (403, "challenge")
    assert client.get(url).status_code == 503
