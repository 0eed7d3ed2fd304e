"""The wire forms of a task."""

import json
from typing import Any

import pytest

from sandbox.kie.faults.failures import FAILURES
from sandbox.kie.faults.faults import Fault
from sandbox.kie.faults.rules import Rule
from sandbox.kie.options import CostTime
from sandbox.kie.tasks.records import callback, record, result_urls
from tests.unit.sandbox.kie.tasks.test_ledger import BASE, task

URLS = [f"{BASE}/files/{0:032x}_{index}.png" for index in range(2)]


def fated(*faults: Fault, variant: str = "") -> Any:
    return task(fate=dict.fromkeys(faults, Rule(probability=1.0, variant=variant)))


@pytest.mark.parametrize(
    ("faults", "urls"),
    [
        ((), URLS),
        ((Fault.NO_URLS,), []),
        ((Fault.FEWER_URLS,), URLS[:1]),
        ((Fault.EMPTY_URL,), [URLS[0], ""]),
        ((Fault.FEWER_URLS, Fault.EMPTY_URL), [""]),
    ],
)
def test_images_may_be_withheld(faults: tuple[Fault, ...], urls: list[str]) -> None:
    assert result_urls(fated(*faults), BASE) == urls


def test_the_input_is_encoded_once_more_in_a_record_than_in_a_callback() -> None:
    polled = record(task(), 0, BASE, CostTime.SECONDS)
    called = callback(task(), BASE, CostTime.SECONDS)["data"]
    assert json.loads(json.loads(polled["param"])["input"]) == {"prompt": "kite 0"}
    assert json.loads(called["param"])["input"] == {"prompt": "kite 0"}


@pytest.mark.parametrize(("unit", "cost"), [(CostTime.SECONDS, 10), (CostTime.MILLISECONDS, 10_900)])
def test_the_time_that_it_took_is_in_the_unit_of_the_options(unit: CostTime, cost: int) -> None:
    assert record(task(), 1_010_900, BASE, unit)["costTime"] == cost


@pytest.mark.parametrize("variant", FAILURES)
def test_a_failure_tells_its_code_and_words_in_both_forms(variant: str) -> None:
    failed = fated(Fault.TASK_FAIL, variant=variant)
    polled = record(failed, 1_010_900, BASE, CostTime.SECONDS)
    called = callback(failed, BASE, CostTime.SECONDS)
    assert (polled["failCode"], polled["failMsg"]) == FAILURES[variant]
    assert (called["code"], called["data"]["failMsg"]) == (501, FAILURES[variant][1])


def test_a_result_that_is_broken_is_no_json() -> None:
    told = record(fated(Fault.RESULT_INVALID), 1_010_900, BASE, CostTime.SECONDS)["resultJson"]
    with pytest.raises(json.JSONDecodeError):
        json.loads(told)


def test_an_unknown_state_is_over_when_the_task_is() -> None:
    states = [
        record(fated(Fault.UNKNOWN_STATE), now, BASE, CostTime.SECONDS)["state"]
        for now in (1_000_000, 1_010_900)
    ]
    assert states == ["postprocessing", "success"]
