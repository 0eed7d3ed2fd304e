"""Faults that a prompt asks for, on the wire."""

import json

import httpx
import pytest

from sandbox.kie.server import SandboxProvider
from tests.integration.sandbox.conftest import create, ended, order, record


def code(client: httpx.Client, prompt: str) -> int:
    return int(create(client, prompt)["code"])


def test_only_the_prompt_with_the_marker_meets_the_fault(
    provider: SandboxProvider, client: httpx.Client
) -> None:
    assert [code(client, "a kite"), code(client, "a kite [fault:create_402]")] == [200, 402]
    assert [code(client, "a kite"), code(client, "a kite [fault:create_402]")] == [200, 402]
    assert provider.faults() == {}


def test_a_number_is_the_first_calls_with_exactly_that_prompt(client: httpx.Client) -> None:
    assert [code(client, "one [fault:create_500*2]") for _ in range(3)] == [500, 500, 200]
    assert [code(client, "two [fault:create_500*2]") for _ in range(3)] == [500, 500, 200]


def test_a_marker_has_a_variant(client: httpx.Client, provider: SandboxProvider) -> None:
    prompt = "a kite [fault:html_before=525*1]"
    answers = [client.post("/api/v1/jobs/createTask", json=order(prompt)).status_code for _ in range(2)]
    assert answers == [525, 200]
    assert len(provider.ledger(prompt=prompt)) == 1


def test_markers_combine_over_the_call_its_task_and_its_reads(
    client: httpx.Client, provider: SandboxProvider
) -> None:
    prompt = "[fault:odd_envelope=top_level][fault:url_shape=string] a kite [fault:record_500*1]"
    task_id = create(client, prompt)["taskId"]
    assert record(client, task_id)["code"] == 500
    assert json.loads(ended(client, task_id)["resultJson"])["resultUrls"].startswith(provider.url)
    [row] = provider.ledger(prompt=prompt)
    assert (row["call_ended"], row["faults"], row["billed"]) == ("odd_envelope", ["url_shape"], 7.0)


def test_a_marked_prompt_meets_no_fault_of_everybody(provider: SandboxProvider, client: httpx.Client) -> None:
    provider.faults(create_455=1, no_urls=1, record_500=1)
    task_id = create(client, "a kite [fault:credits_missing]")["data"]["taskId"]
    data = ended(client, task_id)
    assert "creditsConsumed" not in data
    assert json.loads(data["resultJson"])["resultUrls"]
    assert code(client, "a kite") == 455


def test_a_file_is_that_of_its_prompt(client: httpx.Client) -> None:
    def status(prompt: str) -> int:
        data = ended(client, create(client, prompt)["data"]["taskId"])
        return client.get(json.loads(data["resultJson"])["resultUrls"][0]).status_code

    assert [status("a kite [fault:file_404]"), status("a kite")] == [404, 200]


@pytest.mark.parametrize(
    ("marker", "named"),
    [
        ("[fault:nonsense]", "nonsense: no such fault"),
        ("[fault:balance_odd]", "balance_odd: concerns no prompt"),
    ],
)
def test_a_marker_that_is_not_understood_is_refused_by_name(
    marker: str, named: str, client: httpx.Client, provider: SandboxProvider
) -> None:
    answer = create(client, f"a kite {marker}")
    assert (answer["code"], answer["msg"][: len(named)]) == (422, named)
    assert provider.ledger() == []


def test_a_reset_forgets_the_counts(client: httpx.Client, provider: SandboxProvider) -> None:
    assert [code(client, "[fault:create_500*1]") for _ in range(2)] == [500, 200]
    provider.reset()
    assert code(client, "[fault:create_500*1]") == 500
