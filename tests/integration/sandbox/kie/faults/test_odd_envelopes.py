"""Odd envelopes around the id of a task that exists."""

import json
from typing import Any

import httpx
import pytest

from sandbox.kie.faults.odd_envelopes import HUGE_BYTES, ODD_ENVELOPES
from sandbox.kie.server import SandboxProvider
from tests.integration.sandbox.conftest import ended, order

ID = "the id of the task"
ODD: dict[str, tuple[int, Any, Any]] = {
    "http_502_good_body": (502, 200, {"taskId": ID}),
    "code_0": (200, 0, {"taskId": ID}),
    "code_201": (200, 201, {"taskId": ID}),
    "code_text": (200, "200", {"taskId": ID}),
    "code_null": (200, None, {"taskId": ID}),
    "task_id": (200, 200, {"task_id": ID}),
    "top_level": (200, 200, None),
    "record_id_only": (200, 200, {"recordId": ID}),
    "data_string": (200, 200, ID),
    "data_list": (200, 200, [{"taskId": ID}]),
    "nested_data": (200, 200, {"data": {"taskId": ID}}),
    "id": (200, 200, {"id": ID}),
    "text": (200, 200, None),
    "nested_string": (200, 200, json.dumps({"taskId": ID})),
}


def odd(client: httpx.Client, provider: SandboxProvider, variant: str) -> tuple[httpx.Response, str]:
    """The answer, and the id of the only task."""
    provider.faults(odd_envelope={"next": 1, "variant": variant})
    answer = client.post("/api/v1/jobs/createTask", json=order())
    [row] = provider.ledger()
    assert (row["call_ended"], row["billed"]) == ("odd_envelope", 7.0)
    return answer, row["task_id"]


@pytest.mark.parametrize("variant", ODD)
def test_the_id_of_a_billed_task_is_in_an_odd_place(
    variant: str, provider: SandboxProvider, client: httpx.Client
) -> None:
    answer, task_id = odd(client, provider, variant)
    body = json.loads(answer.text.replace(task_id, ID))
    assert (answer.status_code, body["code"], body["data"]) == ODD[variant]
    assert body.get("taskId") == (ID if variant == "top_level" else None)
    assert ended(client, task_id)["state"] == "success"


def test_a_truncated_answer_ends_behind_the_id(provider: SandboxProvider, client: httpx.Client) -> None:
    answer, task_id = odd(client, provider, "truncated")
    assert answer.text.endswith(f'"taskId": "{task_id}"')
    with pytest.raises(ValueError, match="Expecting"):
        answer.json()


def test_a_text_can_name_the_id(provider: SandboxProvider, client: httpx.Client) -> None:
    answer, task_id = odd(client, provider, "text")
    assert answer.json()["msg"] == f"Task {task_id} was created"


@pytest.mark.parametrize(
    ("variant", "encoding"), [("utf16", "utf-16"), ("bom", "utf-8-sig"), ("huge", "ascii")]
)
def test_a_good_answer_can_be_encoded_oddly_or_huge(
    variant: str, encoding: str, provider: SandboxProvider, client: httpx.Client
) -> None:
    answer, task_id = odd(client, provider, variant)
    assert json.loads(answer.content.decode(encoding))["data"]["taskId"] == task_id
    assert (len(answer.content) > HUGE_BYTES) is (variant == "huge")
    assert answer.headers["content-type"] == "application/json;charset=UTF-8"


def test_no_variant_was_left_out() -> None:
    assert set(ODD_ENVELOPES) == {*ODD, "truncated", "utf16", "bom", "huge"}
