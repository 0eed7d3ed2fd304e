import json
import time
from typing import Any

import pytest

from sandbox.kie.faults.faults import Fault
from sandbox.kie.faults.rules import Rule
from sandbox.kie.options import CostTime
from sandbox.kie.tasks.ledger import KieLedger, KieTask, State, digest
from sandbox.kie.tasks.records import callback, record

BASE = "http://files.test"


def task(number: int = 0, **changes: Any) -> KieTask:
    given = changes.pop("input", {"prompt": f"kite {number}"})
    facts: dict[str, Any] = {
        "id": f"{number:032x}",
        "model": "ideogram/v3-text-to-image",
        "input": given,
        "callback_url": "http://worker.test/callbacks/job/token",
        "images": 2,
        "credits": 7.0,
        "digest": digest("ideogram/v3-text-to-image", given),
        "created_ms": 1_000_000,
        "finish_ms": 1_010_900,
        "fate": {},
    }
    return KieTask(**{**facts, **changes})


@pytest.mark.parametrize(
    ("now_ms", "state"),
    [(1_000_000, State.WAITING), (1_005_000, State.GENERATING), (1_010_900, State.SUCCESS)],
)
def test_a_task_moves_from_waiting_to_generating_to_success(now_ms: int, state: State) -> None:
    assert task().state(now_ms) is state


def test_credits_are_held_until_a_failure_returns_them() -> None:
    failing = task(fate={Fault.TASK_FAIL: Rule()})
    assert failing.billed(1_005_000) == 7.0
    assert failing.billed(1_010_900) == 0.0


def test_inputs_that_differ_in_the_order_of_keys_are_equal() -> None:
    ledger = KieLedger(10.0)
    ledger.add(task(1, input={"prompt": "a", "seed": 1}))
    ledger.add(task(2, input={"seed": 1, "prompt": "a"}))
    ledger.add(task(3, input={"prompt": "b"}))
    summary = ledger.summary(1_000_000)
    assert (summary["created"], summary["distinct_inputs"], summary["bought_more_than_once"]) == (3, 2, 1)


def test_the_most_creates_in_any_window_is_remembered() -> None:
    ledger = KieLedger(10.0)
    for number, second in enumerate([0, 1, 2, 9, 10, 11, 40]):
        ledger.add(task(number, created_ms=second * 1000))
    assert ledger.summary(50_000)["most_creates_in_window"] == 4


def test_rows_can_be_selected_by_prompt() -> None:
    ledger = KieLedger(10.0)
    ledger.add(task(1))
    ledger.add(task(2))
    [row] = ledger.rows(1_020_000, prompt="kite 2")
    assert row["callback_url"] == "http://worker.test/callbacks/job/token"
    assert (row["state"], row["billed"], row["input"]) == ("success", 7.0, {"prompt": "kite 2"})
    assert json.loads(json.dumps(row)) == row


def test_summing_up_a_hundred_thousand_tasks_takes_linear_time() -> None:
    ledger = KieLedger(10.0)
    for number in range(100_000):
        ledger.add(task(number, created_ms=number))
    began = time.perf_counter()
    assert ledger.summary(10_000_000)["created"] == 100_000
    assert time.perf_counter() - began < 5.0  # measured: 0.2 s; pairs of tasks would take minutes


def test_a_pending_record_has_a_doubly_encoded_param_and_an_empty_result() -> None:
    data = record(task(), 1_005_000, BASE, CostTime.SECONDS)
    assert json.loads(json.loads(data["param"])["input"]) == {"prompt": "kite 0"}
    assert (data["resultJson"], data["costTime"], data["completeTime"]) == ("", None, None)
    assert "creditsConsumed" not in data


@pytest.mark.parametrize(("unit", "cost"), [(CostTime.SECONDS, 10), (CostTime.MILLISECONDS, 10_900)])
def test_a_finished_record_carries_urls_and_credits(unit: CostTime, cost: int) -> None:
    data = record(task(), 1_010_900, BASE, unit)
    assert len(json.loads(data["resultJson"])["resultUrls"]) == 2
    assert (data["state"], data["costTime"], data["creditsConsumed"]) == ("success", cost, 7.0)


@pytest.mark.parametrize(
    ("fault", "result"),
    [
        (Fault.NO_URLS, '{"resultUrls": []}'),
        (Fault.FEWER_URLS, f'{{"resultUrls": ["{BASE}/files/{0:032x}_0.png"]}}'),
        (Fault.EMPTY_URL, f'{{"resultUrls": ["{BASE}/files/{0:032x}_0.png", ""]}}'),
        (Fault.RESULT_NULL, None),
        (Fault.RESULT_OBJECT, {"resultUrls": [f"{BASE}/files/{0:032x}_{i}.png" for i in (0, 1)]}),
    ],
)
def test_a_fate_spoils_the_result(fault: Fault, result: Any) -> None:
    assert record(task(fate={fault: Rule()}), 2_000_000, BASE, CostTime.SECONDS)["resultJson"] == result


def test_an_invalid_result_is_not_json() -> None:
    data = record(task(fate={Fault.RESULT_INVALID: Rule()}), 2_000_000, BASE, CostTime.SECONDS)
    with pytest.raises(json.JSONDecodeError):
        json.loads(data["resultJson"])


def test_a_failure_has_the_code_of_its_variant_and_no_credits() -> None:
    failing = task(fate={Fault.TASK_FAIL: Rule(variant="sensitive")})
    data = record(failing, 2_000_000, BASE, CostTime.SECONDS)
    assert (data["state"], data["failCode"], data["resultJson"]) == ("fail", "SENSITIVE_WORD_ERROR", "")
    assert "creditsConsumed" not in data
    assert callback(failing, BASE, CostTime.SECONDS)["code"] == 501


def test_a_callback_encodes_its_param_once() -> None:
    body = callback(task(), BASE, CostTime.SECONDS)
    assert json.loads(body["data"]["param"])["input"] == {"prompt": "kite 0"}
