"""Reports of polls as the script takes them."""

import json
from decimal import Decimal

import pytest

from limner.errors import GenerationFailed
from limner.ledger.scripts.reports import (
    BackendResult,
    Polled,
    Report,
    TaskFailed,
    TaskLost,
    TaskSucceeded,
    to_json,
)


def test_a_poll_that_found_nothing_says_when_the_next_one_is() -> None:
    polled = Polled(job_id="j1", lease=3, answer="waiting", poll_in=2.5)
    assert to_json(polled) == {
        "what": "polled",
        "job": "j1",
        "lease": 3,
        "answer": "waiting",
        "delay": 2500,
    }


def test_images_come_with_their_outcome_and_their_cost_in_millionths() -> None:
    told = to_json(TaskSucceeded(job_id="j1", task_id="t1", urls=("https://a",), cost=Decimal("3.5"), ttl=60))
    assert (told["urls"], told["credits"], told["cost"], told["ttl"]) == (
        ["https://a"],
        "3.5",
        3_500_000,
        60_000,
    )
    assert json.loads(told["outcome"]) == {"urls": ["https://a"], "credits": "3.5"}
    assert not {"attempt", "learn", "result"} & told.keys()


def test_images_without_a_word_on_their_cost_say_nothing_of_it() -> None:
    told = to_json(TaskSucceeded(job_id="j1", task_id="t1", urls=(), cost=None, ttl=60))
    assert not {"credits", "cost"} & told.keys()


@pytest.mark.parametrize(
    ("cost", "owed", "told"),
    [
        (None, False, {}),
        (Decimal(0), False, {}),
        (None, True, {"owed": True}),
        (Decimal(7), False, {"owed": True, "cost": 7_000_000, "credits": "7"}),
    ],
)
def test_a_failure_is_owed_for_if_it_has_a_cost(
    cost: Decimal | None, owed: bool, told: dict[str, object]
) -> None:
    failed = TaskFailed(job_id="j1", task_id="t1", error=GenerationFailed("no"), ttl=60, cost=cost, owed=owed)
    money = {name: value for name, value in to_json(failed).items() if name in ("owed", "cost", "credits")}
    assert money == told


@pytest.mark.parametrize("cost", [Decimal("1e13"), Decimal(-1), Decimal("Infinity"), Decimal("NaN")])
def test_a_cost_beyond_belief_is_unknown_and_kept_as_it_was_said(cost: Decimal) -> None:
    made = to_json(TaskSucceeded(job_id="j1", task_id="t1", urls=(), cost=cost, ttl=1))
    failed = to_json(TaskFailed(job_id="j1", task_id="t1", error=GenerationFailed("no"), ttl=1, cost=cost))
    assert [(told.get("cost"), told["said"]) for told in (made, failed)] == [(None, str(cost))] * 2
    assert json.loads(made["outcome"])["credits"] is None


@pytest.mark.parametrize(("cause", "foreign"), [("foreign", True), ("not_found", None)])
def test_only_another_job_s_task_is_foreign(cause: str, foreign: bool | None) -> None:
    lost = TaskLost(job_id="j1", task_id="t1", reason={"cause": cause}, ttl=60, grace=5)
    assert to_json(lost).get("foreign") is foreign


@pytest.mark.parametrize(
    ("report", "field"),
    [
        (Polled(job_id="j1", lease=1, answer="", poll_in=1e15), "poll_in"),
        (TaskFailed(job_id="j1", task_id="t1", error=GenerationFailed("no"), ttl=1e15), "ttl"),
        (TaskLost(job_id="j1", task_id="t1", reason={}, ttl=1, grace=1e15), "grace"),
    ],
)
def test_a_number_that_lua_cannot_count_with_is_refused_by_its_name(report: Report, field: str) -> None:
    with pytest.raises(ValueError, match=f"^{field}: "):
        to_json(report)


def test_a_result_is_kept_for_whole_seconds_and_no_shorter() -> None:
    result = BackendResult("key", "head", "tail", expires=59.2, attempt=1, ttl=0.5, follow=5.0)
    told = result.to_json()
    assert (told["expires"], told["ttl"], told["follow"]) == (60, 500, 5000)
