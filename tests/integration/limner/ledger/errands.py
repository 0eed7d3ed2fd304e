"""Helpers for tests with workers of several accounts."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from limner.ledger import Claim, Grant, Ledger, Quota
from tests.integration.limner.ledger.conftest import Bench

ONE: Final = Quota(4, 10.0, 4, 1.0, 100, account="one")
TWO: Final = replace(ONE, account="two")
IDLE_CLAIMS: Final = 50
"""A number of claims after which no account is left to visit."""


def many(count: int, name: str = "account", **limits: Any) -> list[Quota]:
    return [replace(ONE, account=f"{name} {number:03}", **limits) for number in range(count)]


def claim(bench: Bench, *quotas: Quota, batch: int = 100) -> list[Claim]:
    return bench.ledger.queue.claim(*quotas, batch=batch).steps


def first_step(bench: Bench, quota: Quota) -> Claim:
    """Claim the first job of an account that a worker has just begun to serve."""
    claim(bench, quota)
    bench.submit("first", account=quota.account)
    [step] = claim(bench, quota)
    return step


def another_worker(bench: Bench) -> Ledger:
    """The ledger of a second worker, which registers its own accounts."""
    return Ledger(bench.client, clock=lambda: bench.now)


def rest(bench: Bench, *quotas: Quota) -> list[Claim]:
    """Claim until the dispatcher may sleep; returns the claimed steps."""
    steps: list[Claim] = []
    for _ in range(IDLE_CLAIMS):
        claimed = bench.ledger.queue.claim(*quotas)
        steps += claimed.steps
        if not claimed.steps and claimed.wait > 0:
            return steps
    raise AssertionError("the dispatcher does not come to rest")


def send(bench: Bench, step: Claim) -> Grant:
    grant = bench.ledger.jobs.begin(step.job_id, step.lease, f"token {step.job_id}", deadline=900)
    assert isinstance(grant, Grant)
    return grant


def accept(bench: Bench, step: Claim, *, poll_in: float = 600.0) -> None:
    grant = send(bench, step)
    bench.ledger.jobs.accepted(step.job_id, grant.attempt, f"task of {step.job_id}", poll_in=poll_in)


def of(steps: Sequence[Claim]) -> list[str]:
    return [step.job_id for step in steps]


def waiting(bench: Bench, *, pinned: bool, quota: Quota = ONE) -> str:
    """Submit a job that cannot be sent yet, and claim until the dispatchers sleep."""
    job_id = bench.submit("it waits", account=quota.account if pinned else None)
    assert rest(bench, quota) == []
    return job_id
