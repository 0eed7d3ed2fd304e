"""The short version of the bench with a neighbour: the same app, fleet and counts in half a minute."""

import pytest

from bench import shop, short_visibility
from bench.neighbour import Findings, Plan, neighbours, tables

SHORT = Plan(seconds=10.0, jobs_a_second=5.0)

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def findings() -> Findings:
    return neighbours(SHORT)


def test_no_task_and_no_job_is_lost_doubled_or_left_without_a_result(findings: Findings) -> None:
    assert findings.violations() == []


def test_the_run_had_tasks_of_each_kind_and_jobs(findings: Findings) -> None:
    [beside] = findings.beside
    assert beside.jobs == 50
    assert beside.kinds == {kind: int(SHORT.seconds / period) for kind, period in shop.PERIODS.items()}
    # Otherwise the fleet would have had no reason to deliver them again.
    assert min(shop.COUNTDOWN, shop.SLOW_SECONDS) > short_visibility.SECONDS


def test_the_tables_show_all_kinds_and_all_runs(findings: Findings) -> None:
    text = "\n".join(tables(findings, SHORT))
    assert all(f"| {kind} | beside the fleet |" in text for kind in shop.PERIODS)
    assert "| the fleet's jobs | 50 | 0 | 0 |" in text
