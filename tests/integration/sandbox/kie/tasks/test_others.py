"""The record of another task than the one that was asked for."""

import json
from typing import Any

import httpx
import pytest

from sandbox.kie.server import SandboxProvider
from tests.integration.sandbox.conftest import create, ended, record


def urls(data: dict[str, Any]) -> list[str]:
    return list(json.loads(data["resultJson"])["resultUrls"])


def test_a_read_shows_another_finished_task_once(provider: SandboxProvider, client: httpx.Client) -> None:
    other = ended(client, create(client, "somebody else's")["data"]["taskId"])
    provider.faults(record_other_task={"next": 1})
    mine = create(client, "mine")["data"]["taskId"]
    assert record(client, mine)["data"] == other
    assert record(client, mine)["data"]["taskId"] == mine
    assert urls(ended(client, mine)) != urls(other)
    assert [call["outcome"] for call in provider.calls() if call["task_id"] == mine][:2] == [
        "200",
        "record_other_task",
    ]


@pytest.mark.parametrize("end", ["success", "fail"])
def test_without_another_task_its_record_is_invented(
    end: str, provider: SandboxProvider, client: httpx.Client
) -> None:
    provider.faults(record_other_task={"next": 1, "variant": end})
    task_id = create(client)["data"]["taskId"]
    data = record(client, task_id)["data"]
    assert (data["state"], len(data["taskId"])) == (end, len(task_id))
    assert data["taskId"] != task_id
    assert task_id not in data["resultJson"]
    assert [row["task_id"] for row in provider.ledger()] == [task_id]
