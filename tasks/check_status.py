"""``limner.check_status``: look at a job's task, and deliver what is there.

A job that has ended without its task is looked at in the same way, only quietly: what was paid for is
recorded, and delivered if the job had failed.
"""

import contextlib
import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from limner.durations import kind_of
from limner.errors import StoreUnavailable
from limner.models import TextToImage
from limner.records import JobState, Record, Task
from limner.terms import TaskEnd
from provider import Cause, Done, Pending, RecordAnswer, Unreadable, callback_url, price
from tasks.commit import SHORT_PATIENCE, Result, patiently
from tasks.create_task import end, facts, store
from tasks.decisions import AfterLook, Fail, Look, LookAgain, Lost, TaskOver, after_look, after_quiet_look
from tasks.step import step
from worker.application import app
from worker.fleet import Fleet

logger = logging.getLogger(__name__)


@step("limner.check_status")
def check_status(self: Any, lease: int) -> None:
    """One look at the task of the job with this task's id."""
    look(app.fleet, self.request.id, lease)


def look(fleet: Fleet, job_id: str, lease: int) -> None:
    """Read the task's state, if the lease still holds, and put what follows on record."""
    record = fleet.ledger.begin_look(job_id, lease)
    if record is None:
        return
    task = record.open_task
    if task is None:
        return
    if task.account not in fleet.providers:
        logger.error("job %s: this worker has no key of account %s (LIMNER_ACCOUNTS)", job_id, task.account)
        return
    assert record.read_at  # noqa: S101 - read from Redis
    began = time.monotonic()
    answer = fleet.providers[task.account].record_info(task.task_id)
    # The ledger's own clock: this machine's may go wrong.
    now = record.read_at + timedelta(seconds=time.monotonic() - began)
    put_on_record(fleet, record, task, answer, decide(fleet, record, task, answer, now))


def decide(fleet: Fleet, record: Record, task: Task, answer: RecordAnswer, now: datetime) -> AfterLook:
    """What follows from an answer at that time."""
    known_at = task.known_at or record.accepted_at
    assert known_at  # noqa: S101 - there is a task
    age = (now - known_at).total_seconds()
    hinted = None if record.hinted_at is None else (now - record.hinted_at).total_seconds()
    tokens = () if task.confirmed else tuple(record.tokens.values())
    if record.state.ended:
        left = fleet.settings.late_result_seconds - age
        return after_quiet_look(answer, Look(age, left, hinted, tokens), fleet.quiet_law)
    assert record.deadline  # noqa: S101 - it is set with the state
    left = (record.deadline - now).total_seconds()
    law = fleet.laws.of(kind_of(request_of(record)))
    return after_look(answer, Look(age, left, hinted, tokens), law)


def request_of(record: Record) -> TextToImage:
    """What was asked for. It was checked when it was submitted."""
    return TextToImage.model_construct(**record.request)


def put_on_record(
    fleet: Fleet, record: Record, task: Task, answer: RecordAnswer, decision: AfterLook
) -> None:
    """Tell the ledger, and store the result of a job that has ended by it."""
    ledger, job_id, ttl = fleet.ledger, record.job_id, fleet.results.record_ttl
    url = None if task.confirmed else callback_url(answer)
    attempt = record.attempt_of(url) if url else None
    options: dict[str, Any]
    match decision:
        case LookAgain(delay, seen):
            sure = isinstance(answer, Pending) and not task.confirmed
            # A task that is known for certain, and alone, need not be written again.
            name = task.task_id if sure or len(record.tasks) > 1 else None
            too_often = isinstance(answer, Unreadable) and answer.cause is Cause.RATE_LIMITED
            options = {"look_in": delay, "task_id": name, "sure": sure, "attempt": attempt}
            options["too_often"] = too_often
            told(partial(ledger.looked, job_id, record.lease, seen, **options), task)
        case Done(urls, spent):
            options = {"ttl": ttl, "attempt": attempt}
            what = told(partial(ledger.task_succeeded, job_id, task.task_id, urls, spent, **options), task)
            outcome = {"urls": list(urls), "credits": spent}
            deliver(fleet, record, task, what, JobState.SUCCEEDED, outcome)
            if what.what != "stale":
                learn(fleet, record, answer)
        case TaskOver(error, spent):
            error = error.with_details(**facts(record, task.task_id))
            owed = error.charged == "yes"
            options = {"ttl": ttl, "grace": fleet.grace, "cost": spent, "owed": owed, "attempt": attempt}
            what = told(partial(ledger.task_failed, job_id, task.task_id, error, **options), task)
            deliver(fleet, record, task, what, JobState.FAILED, {"error": error.to_json()})
        case Lost(reason):
            options = {"ttl": ttl, "grace": fleet.grace}
            what = told(partial(ledger.task_lost, job_id, task.task_id, reason, **options), task)
            if what.what == "ended" and (now := ledger.read(job_id)):
                # By what another task had come to.
                store(fleet, now)
        case Fail(error):
            end(fleet, record, error, [JobState.GENERATING], lease=record.lease)


def learn(fleet: Fleet, record: Record, answer: RecordAnswer) -> None:
    """What the end of a task tells of others like it: how long they take, and what they cost."""
    request = request_of(record)
    if not isinstance(answer, Done):
        return
    if answer.created_ms is not None and answer.completed_ms is not None:
        # The contract's costTime has no certain unit (2.1).
        with contextlib.suppress(StoreUnavailable):
            fleet.ledger.learn(kind_of(request), (answer.completed_ms - answer.created_ms) / 1000)
    expected = price(request)
    if answer.credits is not None and answer.credits != expected:
        logger.warning(
            "job %s cost %s credits, and provider/prices.py says %s", record.job_id, answer.credits, expected
        )


def told(transition: Callable[[], Result], task: Task) -> Result:
    """A look can be repeated, so Redis is not waited for as long as with an answer that cannot."""
    return patiently(transition, f"a look at task {task.task_id}", patience=SHORT_PATIENCE)


def deliver(
    fleet: Fleet, record: Record, task: Task, what: TaskEnd, state: JobState, outcome: dict[str, Any]
) -> None:
    """Store the result of a job, if it was this task that ended it, or that changed what its end has cost."""
    if what.at is not None:
        store(fleet, record.ended(state, outcome, what.at, task.task_id))
        logger.info("job %s %s with task %s", record.job_id, state, task.task_id)
    elif what.what == "noted":
        now = told(partial(fleet.ledger.read, record.job_id), task)
        if now is not None and now.failure is not None:
            told(partial(fleet.results.refuse, now.job_id, now.failure), task)
