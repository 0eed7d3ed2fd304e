"""The stand-in's interface for tests, which needs no key."""

from typing import Any

import pytest

from tests.asgi import Caller
from tests.unit.sandbox.kie.api.conftest import create


def tasks(kie: Caller, **query: str) -> Any:
    return kie.get("/sandbox/ledger", params=query).json().get("tasks")


def test_the_ledger_tells_the_tasks_with_exactly_that_prompt(kie: Caller) -> None:
    kite, _ = create(kie, "a kite"), create(kie, "a kite flies")
    assert [task["task_id"] for task in tasks(kie, prompt="a kite")] == [kite]


def test_a_summary_has_no_tasks(kie: Caller) -> None:
    create(kie)
    assert tasks(kie, summary="1") is None
    assert kie.get("/sandbox/healthz").json()["created"] == 1


def test_the_faults_that_are_on_are_the_answer_to_a_change(kie: Caller) -> None:
    assert list(kie.post("/sandbox/faults", json={"stuck": 0.5}).json()) == ["stuck"]
    assert list(kie.post("/sandbox/faults", json={"create_429": 1}).json()) == ["stuck", "create_429"]


@pytest.mark.parametrize("changes", [{"nonsense": 1}, {"stuck": 2}, ["stuck"]])
def test_a_wrong_fault_is_a_bad_request_that_changes_nothing(kie: Caller, changes: Any) -> None:
    answer = kie.post("/sandbox/faults", json=changes)
    assert (answer.status_code, list(answer.json())) == (400, ["error"])
    assert kie.post("/sandbox/faults", json={}).json() == {}


@pytest.mark.parametrize("after", ["-1", "one", "²"])
def test_a_page_of_calls_begins_after_a_number(kie: Caller, after: str) -> None:
    assert kie.get("/sandbox/calls", params={"after": after}).status_code == 400
    create(kie)
    assert [call["number"] for call in kie.get("/sandbox/calls").json()["calls"]] == [1]


def test_a_reset_forgets_tasks_and_faults(kie: Caller) -> None:
    create(kie)
    kie.post("/sandbox/faults", json={"stuck": 1})
    assert kie.post("/sandbox/reset").json() == {"reset": True}
    assert tasks(kie) == []
    assert kie.post("/sandbox/faults", json={}).json() == {}
