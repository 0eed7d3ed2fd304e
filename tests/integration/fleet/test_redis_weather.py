"""A Redis that is frozen, full, slow or flapping under load: nothing is lost, and nothing bought twice."""

import pytest

from bench.weather import FAULTS, through
from tests.integration.fleet.conftest import ROOMY

pytestmark = pytest.mark.timeout(120)

JOBS = 60
HEALED = 5.0
"""Seconds from the end of a fault until the next task is created, at most."""
SECONDS = {"frozen": 2.5, "full": 2.0, "slow": 2.5, "flapping": 8.0}
QUOTAS = {"frozen": 20, "full": 20, "slow": 20, "flapping": 8}
"""Tasks a second, so few that the jobs outlast the fault."""


@pytest.mark.parametrize("fault", FAULTS)
def test_jobs_outlast_a_redis_with_a_fault(fault: str) -> None:
    counts = through(fault, jobs=JOBS, quota=QUOTAS[fault], seconds=SECONDS[fault], settings=ROOMY)
    print(counts)  # noqa: T201 - docs/outages-redis.md describes it
    assert (counts.lost, counts.doubled) == (0, 0), counts
    assert counts.succeeded + counts.in_doubt == JOBS, counts
    assert counts.most_in_window <= QUOTAS[fault], counts
    assert 0 < counts.recovery < HEALED, counts
    if fault == "slow":
        assert counts.during > 0, counts
