"""Records with values that cannot be right."""

from typing import Any

import httpx
import pytest

from sandbox.kie.server import SandboxProvider
from tests.integration.sandbox.conftest import create, ended, record, until

HOURS_MS = 8 * 3_600_000


def finished(provider: SandboxProvider, client: httpx.Client, **faults: str) -> tuple[dict[str, Any], int]:
    """The record of a finished task, and the true time of its end in epoch milliseconds."""
    provider.faults(**{fault: {"variant": variant} for fault, variant in faults.items()})
    data = ended(client, create(client)["data"]["taskId"])
    return data, provider.ledger()[-1]["finish_ms"]


@pytest.mark.parametrize(("variant", "shift"), [("ahead", HOURS_MS), ("behind", -HOURS_MS)])
def test_the_end_can_be_hours_off(
    variant: str, shift: int, provider: SandboxProvider, client: httpx.Client
) -> None:
    data, end = finished(provider, client, complete_time=variant)
    assert data["completeTime"] == end + shift
    assert data["createTime"] == provider.ledger()[0]["created_ms"]


def test_both_times_can_be_hours_off(provider: SandboxProvider, client: httpx.Client) -> None:
    data, end = finished(provider, client, complete_time="both_ahead")
    created = provider.ledger()[0]["created_ms"]
    assert (data["createTime"], data["completeTime"]) == (created + HOURS_MS, end + HOURS_MS)


def test_the_end_can_be_in_another_form(provider: SandboxProvider, client: httpx.Client) -> None:
    data, end = finished(provider, client, complete_time="seconds")
    assert data["completeTime"] == end // 1000
    data, _ = finished(provider, client, complete_time="text")
    assert data["completeTime"].endswith("+00:00")
    data, end = finished(provider, client, complete_time="negative")
    assert data["completeTime"] == -end
    data, _ = finished(provider, client, complete_time="infinite")
    assert data["completeTime"] == float("inf")
    assert finished(provider, client, complete_time="zero")[0]["completeTime"] == 0
    assert finished(provider, client, complete_time="null")[0]["completeTime"] is None


def test_the_end_can_be_before_the_beginning(provider: SandboxProvider, client: httpx.Client) -> None:
    data, _ = finished(provider, client, complete_time="before_create")
    assert data["completeTime"] == data["createTime"] - 1000


@pytest.mark.parametrize(
    ("variant", "value"),
    [
        ("trillions", 5e12),
        ("negative", -7),
        ("infinite", float("inf")),
        ("text", "seven"),
        ("number_text", "7.0"),
        ("object", {"amount": 7}),
    ],
)
def test_credits_can_be_absurd_while_the_ledger_is_right(
    variant: str, value: Any, provider: SandboxProvider, client: httpx.Client
) -> None:
    data, _ = finished(provider, client, credits_odd=variant)
    assert data["creditsConsumed"] == value
    assert provider.ledger()[0]["billed"] == 7


def test_infinity_is_a_valid_number_on_the_wire(provider: SandboxProvider, client: httpx.Client) -> None:
    data, _ = finished(provider, client, credits_odd="infinite")
    body = client.get("/api/v1/jobs/recordInfo", params={"taskId": data["taskId"]}).text
    assert '"creditsConsumed": 1e400}' in body


def test_a_record_can_have_only_its_flag(provider: SandboxProvider, client: httpx.Client) -> None:
    provider.faults(flag_only={"variant": "bare"})
    task_id = create(client)["data"]["taskId"]
    assert record(client, task_id)["data"] == {"taskId": task_id, "successFlag": 0}
    until(lambda: record(client, task_id)["data"] == {"taskId": task_id, "successFlag": 1})


def test_the_flag_can_come_with_the_response_or_without_a_state(
    provider: SandboxProvider, client: httpx.Client
) -> None:
    provider.faults(flag_only={"next": 1, "variant": "response"})
    task_id = create(client)["data"]["taskId"]
    data = until(lambda: found if (found := record(client, task_id)["data"])["successFlag"] else None)
    assert data["response"] == {"resultUrls": [f"{provider.url}/files/{task_id}_0.png"]}
    assert not {"state", "resultJson"} & data.keys()
    provider.faults(flag_only={"next": 1, "variant": "no_state"}, task_fail=1)
    failed = create(client)["data"]["taskId"]
    data = until(lambda: found if (found := record(client, failed)["data"])["successFlag"] else None)
    assert (data["successFlag"], data["failCode"]) == (3, "GENERATION_FAILED")
    assert "state" not in data
