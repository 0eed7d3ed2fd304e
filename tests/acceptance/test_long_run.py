"""The short version of the long run: the same faults, SIGKILLs and promises in about a minute."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from bench.long_run import Findings, Plan, long_run
from bench.long_run.comparison import Bought, Verdict, verdict
from bench.long_run.plan import Kill
from limner.ledger.layout.constants import VERSION
from limner.ledger.record import Record

SHORT = Plan(
    jobs=900,
    outstanding=300,
    wave=75,
    jobs_between_kills=150,
    # Outages are shorter than in a run whose Valkey reloads 100,000 jobs.
    spacing=1.0,
    patience=10.0,
    late=12.0,
    grace=18.0,
    final_wait=30.0,
    stall=60.0,
)


@pytest.fixture(scope="module")
def findings() -> Findings:
    return long_run(SHORT)


@pytest.mark.timeout(240)
def test_no_promise_is_broken_by_faults_and_kills(findings: Findings) -> None:
    assert findings.violations() == []


@pytest.mark.timeout(240)
def test_the_run_had_enough_faults_and_kills_to_break_promises(findings: Findings) -> None:
    assert findings.jobs == SHORT.jobs
    assert len(findings.outages[Kill.WORKER]) >= 2
    assert len(findings.outages[Kill.RECEIVER]) >= 1
    assert len(findings.outages[Kill.VALKEY]) >= 1
    assert findings.lost_answers_called_back >= 15
    assert findings.held
    assert findings.forged >= 20
    assert findings.outcomes["succeeded"] > 0.9 * SHORT.jobs


@pytest.mark.timeout(240)
def test_a_broken_promise_is_reported_with_its_jobs(findings: Findings) -> None:
    worse = replace(findings, lost=frozenset({"a", "b"}), adopted_called_back=0, rescues=[31.0])
    lost, adopted, rescue = worse.violations()
    assert lost == "lost: 2 (a, b)"
    assert adopted.startswith("adopted: 0.00%")
    assert rescue == "rescue: 31.0 s at p99"


def bought(task_id: str = "t1", **facts: Any) -> Bought:
    known: dict[str, Any] = {"billed": True, "answered": True, "withheld": False, "deceptive": False}
    result = ((f"http://x/{task_id}.png",), Decimal(7))
    return Bought(**{"id": task_id, "created_ms": 1, "result": result, **known, **facts})


def record(state: str = "succeeded", task: str = "succeeded", **outcome: Any) -> Record:
    stored = {"urls": ["http://x/t1.png"], "credits": "7.0", **outcome}
    fields = {
        "v": str(VERSION), "state": state, "request": "{}", "metadata": "{}", "priority": "5", "created": "1",
        "lease": "1", "attempt": "1", "polls": "1", "outcome": json.dumps(stored),
        "tasks": json.dumps([{"id": "t1", "attempt": 1, "state": task}]),
    }  # fmt: skip
    return Record.from_hash("j", fields)


def flags(verdict: Verdict) -> set[str]:
    return {name for name in Verdict.__slots__ if getattr(verdict, name) not in (False, (), verdict.outcome)}


@pytest.mark.parametrize(
    ("record", "tasks", "seen"),
    [
        (record(), [bought()], set()),
        (None, [bought(withheld=True)], {"lost", "unknown"}),
        (record("generating"), [bought()], {"lost"}),
        (record(), [bought(), bought("t2", withheld=True)], {"double_billed", "unknown"}),
        (record(), [bought("t2", withheld=True, deceptive=True), bought()], {"deceived", "unknown"}),
        (record(), [bought(), bought("t2", billed=False)], {"missed", "unknown"}),
        (record("failed"), [bought()], {"undelivered"}),
        (record(task="open"), [bought()], {"unfinished"}),
        (record(urls=["https://forged.invalid/t1.png"]), [bought()], {"wrong"}),
        (record(credits="3.5"), [bought()], {"wrong"}),
        (record("failed"), [], {"deluded"}),
    ],
)
def test_the_comparison_detects_each_kind_of_disagreement(
    record: Record | None, tasks: list[Bought], seen: set[str]
) -> None:
    assert flags(verdict(record, tasks)) == seen
