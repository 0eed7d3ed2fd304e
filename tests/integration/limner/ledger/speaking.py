"""Polls and reports one at a time, as most tests need them; workers make and report many at once."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from limner.errors import JobFailed, RecordUnreadable
from limner.ledger import (
    BackendResult,
    Claim,
    Ledger,
    Polled,
    Record,
    Report,
    TaskEnd,
    TaskFailed,
    TaskLost,
    TaskSucceeded,
)
from limner.ledger.durations import DurationSample


def begin_poll(ledger: Ledger, job_id: str, lease: int) -> Record | None:
    """Begin one poll; raises what is wrong with the record."""
    [record] = ledger.jobs.begin_polls([Claim(job_id, "poll", lease)])
    if isinstance(record, RecordUnreadable):
        raise record
    return record


def report(ledger: Ledger, told: Report) -> TaskEnd:
    """Report one poll; raises what is wrong with the record."""
    [answer] = ledger.jobs.report_polls([told])
    if isinstance(answer, RecordUnreadable):
        raise answer
    return answer


def polled(
    ledger: Ledger,
    job_id: str,
    lease: int,
    answer: str,
    *,
    poll_in: float,
    task_id: str | None = None,
    sure: bool = False,
    attempt: int | None = None,
    too_often: bool = False,
) -> bool:
    """The task works on; False if the step is stale."""
    told = Polled(
        job_id=job_id,
        lease=lease,
        answer=answer,
        poll_in=poll_in,
        task_id=task_id,
        sure=sure,
        attempt=attempt,
        too_often=too_often,
    )
    return report(ledger, told).what == "held"


def task_succeeded(
    ledger: Ledger,
    job_id: str,
    task_id: str,
    urls: Sequence[str],
    cost: Decimal | None,
    *,
    ttl: float,
    attempt: int | None = None,
    sample: DurationSample | None = None,
    copy: float | None = None,
    result: BackendResult | None = None,
) -> TaskEnd:
    """The task has made its images."""
    told = TaskSucceeded(
        job_id=job_id,
        task_id=task_id,
        urls=urls,
        cost=cost,
        ttl=ttl,
        attempt=attempt,
        sample=sample,
        copy=copy,
        result=result,
    )
    return report(ledger, told)


def task_failed(
    ledger: Ledger,
    job_id: str,
    task_id: str,
    error: JobFailed,
    *,
    ttl: float,
    grace: float = 0.0,
    cost: Decimal | None = None,
    owed: bool = False,
    attempt: int | None = None,
) -> TaskEnd:
    """The task has ended without images."""
    told = TaskFailed(
        job_id=job_id,
        task_id=task_id,
        error=error,
        ttl=ttl,
        grace=grace,
        cost=cost,
        owed=owed,
        attempt=attempt,
    )
    return report(ledger, told)


def task_lost(
    ledger: Ledger, job_id: str, task_id: str, reason: Mapping[str, Any], *, grace: float, ttl: float
) -> TaskEnd:
    """The task is not polled any more."""
    return report(ledger, TaskLost(job_id=job_id, task_id=task_id, reason=reason, ttl=ttl, grace=grace))
