"""The short version of the long run: the same faults, SIGKILLs and promises in about a minute."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from bench.long_run import Findings, Plan, long_run
from bench.long_run.comparison import Bought, Entry, Verdict, verdict
from bench.long_run.forger import FORGED
from bench.long_run.oddities import ODDITIES, SHARE, prompt
from bench.long_run.plan import Kill
from limner.ledger.layout.constants import VERSION
from limner.ledger.record import Record
from tests.copies import Comparison

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
    assert len(findings.faulted) >= 10
    assert len(findings.remade) >= 5
    assert findings.deceived
    assert findings.images.total() > 0.8 * SHORT.jobs
    assert findings.images["cancelled jobs"] >= 5
    assert findings.images["jobs with several paid tasks"]
    assert {"maintenance", "rate_limited", "unauthorized"} <= findings.pauses.keys()


def test_every_oddity_is_met_in_a_run_of_some_thousand_jobs() -> None:
    prompts = [prompt(number, 3) for number in range(5000)]
    odd = [text.partition(" [")[2] for text in prompts if "[" in text]
    assert {f"[{markers}" for markers in odd} == set(ODDITIES)
    assert len(odd) == pytest.approx(SHARE * len(prompts), rel=0.1)
    assert len(set(prompts)) == len(prompts)


@pytest.mark.timeout(240)
def test_a_broken_promise_is_reported_with_its_jobs(findings: Findings) -> None:
    worse = replace(
        findings,
        lost=frozenset({"a", "b"}),
        booked=findings.charged - 1,
        adopted_called_back=0,
        rescues=[31.0],
        copies=Comparison(
            missing=frozenset({"/files/t1_0.png"}),
            doubled=frozenset({"/files/t2_0.png"}),
            wrong=frozenset({"a.png"}),
            foreign=frozenset({"b.png"}),
        ),
    )
    lost, *images, charged, adopted, rescue = worse.violations()
    assert lost == "lost: 2 (a, b)"
    assert images == [
        "paid images that are not stored: 1 (/files/t1_0.png)",
        "paid images that are stored twice: 1 (/files/t2_0.png)",
        "objects with wrong bytes: 1 (a.png)",
        "objects of nothing: 1 (b.png)",
    ]
    assert charged == f"charged: {findings.charged} credits, on the books {findings.charged - 1}"
    assert adopted.startswith("adopted: 0.00%")
    assert rescue == "rescue: 31.0 s at p99"


def bought(task_id: str = "t1", **facts: Any) -> Bought:
    known: dict[str, Any] = {"billed": True, "answered": True, "withheld": False, "deceptive": False}
    result = ((f"/files/{task_id}_0.png",), Decimal(7))
    return Bought(**{"id": task_id, "created_ms": 1, "result": result, **known, **facts})


def entry(
    state: str = "succeeded", task: str = "succeeded", *, name: str = "t1", booked: int = 0, **outcome: Any
) -> Entry:
    stored = {"urls": ["http://x/files/t1_0.png?Signature=0"], "credits": "7.0", **outcome}
    fields = {
        "v": str(VERSION), "state": state, "request": "{}", "metadata": "{}", "priority": "5", "created": "1",
        "lease": "1", "attempt": "1", "polls": "1", "outcome": json.dumps(stored),
        "tasks": json.dumps([{"id": name, "attempt": 1, "state": task}]),
    }  # fmt: skip
    return Entry(Record.from_hash("j", fields), booked)


def flags(verdict: Verdict) -> set[str]:
    return {
        name for name in Verdict.__slots__ if getattr(verdict, name) not in (False, 0, (), verdict.outcome)
    }


BEHIND_A_500 = {"withheld": True, "deceptive": True}


@pytest.mark.parametrize(
    ("job", "tasks", "seen"),
    [
        (entry(), [bought()], set()),
        (None, [bought(withheld=True)], {"lost", "unknown", "off_the_books"}),
        (entry("generating"), [bought()], {"lost"}),
        (entry(), [bought(), bought("t2", withheld=True)], {"double_billed", "unknown", "off_the_books"}),
        (entry(booked=1), [bought("t2", **BEHIND_A_500), bought()], {"deceived", "unknown"}),
        (entry(), [bought("t2", **BEHIND_A_500), bought()], {"deceived", "unknown", "off_the_books"}),
        (
            entry(booked=3),
            [*(bought(f"t{number}", **BEHIND_A_500) for number in (2, 3, 4)), bought()],
            {"deceived", "unknown", "beyond"},
        ),
        (entry(), [bought(), bought("t2", billed=False)], {"missed", "unknown"}),
        (entry("failed"), [bought()], {"undelivered"}),
        (entry(task="open"), [bought()], {"unfinished"}),
        (entry(urls=["https://forged.invalid/t1.png"]), [bought()], {"wrong"}),
        (entry(credits="3.5"), [bought()], {"wrong"}),
        (entry(credits=None), [bought(result=(("/files/t1_0.png",), None))], set()),
        (entry("failed"), [], {"deluded"}),
        (entry("failed", "lost", name=FORGED), [], {"deluded"}),
        (entry("failed", "lost", name="invented"), [], set()),
    ],
)
def test_the_comparison_detects_each_kind_of_disagreement(
    job: Entry | None, tasks: list[Bought], seen: set[str]
) -> None:
    assert flags(verdict(job, tasks)) == seen
