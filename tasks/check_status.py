"""``limner.check_status``: poll the tasks of jobs, and deliver their results.

A message carries several polls. They are made side by side, and those that finish together are reported
together. None waits for the slowest: a poll that takes long delays only itself.

A job that has ended without its task is polled in the same way. Its paid result is recorded, and
delivered if the job had failed.
"""

import contextlib
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, Final

from limner.errors import JobFailed, RecordUnreadable, StoreUnavailable
from limner.ledger import (
    Claim,
    Polled,
    Record,
    Report,
    TaskEnd,
    TaskFailed,
    TaskLost,
    TaskSucceeded,
    believed,
    kind_of,
)
from limner.models import TextToImage
from limner.status import JobState, Task
from provider import Cause, Done, Failed, Pending, RecordAnswer, Unreadable, Why, callback_url, price
from tasks.commit import SHORT_PATIENCE, patiently
from tasks.decisions import (
    AfterPoll,
    Fail,
    Lost,
    Poll,
    PollAgain,
    TaskOver,
    after_late_poll,
    after_poll,
    buy_again,
    pause_after,
)
from tasks.ending import end, store
from tasks.leave import Leave
from tasks.step import leave_alone, step
from tasks.stopwatch import Stopwatch
from worker.services import Services

logger = logging.getLogger(__name__)

MOST_MS: Final = 10**15
"""No two times of the provider are so far apart, in milliseconds."""
SLACK: Final = 2.0
"""Seconds by which the provider's times may differ from what we saw."""
REPORT_WITHIN: Final = 0.05
"""Seconds that a finished poll may wait for others to be reported with it."""


@step("limner.check_status")
def check_status(services: Services, _message: Any, /, polls: list[tuple[str, int]]) -> None:
    """Polls the tasks of these jobs, as pairs of a job's id and a lease."""
    poll(services, [Claim(job_id, "poll", lease) for job_id, lease in polls])


@dataclass(frozen=True, slots=True)
class Turn:
    """A poll that has begun, and the permission to make it."""

    record: Record
    task: Task
    leave: Leave


@dataclass(frozen=True, slots=True)
class Asked:
    """A polled task, and the provider's answer."""

    record: Record
    task: Task
    answer: RecordAnswer
    at: datetime
    """The time of the answer by the ledger's clock, because this machine's may be wrong."""


def poll(services: Services, steps: Sequence[Claim]) -> None:
    """Read the states of the tasks whose leases still hold, and put the decisions on record."""
    turns: list[Turn] = []
    stopwatch = Stopwatch()
    for begun, record in zip(steps, services.ledger.jobs.begin_polls(steps), strict=True):
        if isinstance(record, RecordUnreadable):
            leave_alone(services, begun.job_id, record)
        elif record and (task := record.open_task) and has_key(services, record, task):
            turns.append(Turn(record, task, Leave(partial(begin_again, services, begun), stopwatch)))
    if len(turns) == 1:
        asked = ask(services, turns[0])
        put_on_record(services, [asked] if asked else [])
        return
    away: StoreUnavailable | None = None
    for finished in side_by_side(services, turns):
        try:
            put_on_record(services, finished)
        except StoreUnavailable as error:
            # Redis may be back when the remaining answers come.
            away = error
    if away is not None:
        raise away


def begin_again(services: Services, step: Claim) -> bool:
    """Count a poll from now; False if it must not be made, because the step is stale or has to wait."""
    return isinstance(services.ledger.jobs.begin_polls([step])[0], Record)


def has_key(services: Services, record: Record, task: Task) -> bool:
    """True if this worker has the key of the task's account."""
    if task.account in services.providers:
        return True
    logger.error(
        "job %s: this worker has no key of account %s (LIMNER_ACCOUNTS)", record.job_id, task.account
    )
    return False


def ask(services: Services, turn: Turn) -> Asked | None:
    """Poll one task. None if it was not sent: the poll is repeated, at the latest after its lease."""
    record, task = turn.record, turn.task
    assert record.read_at  # noqa: S101 - read from Redis
    began = time.monotonic()
    answer = services.providers[task.account].record_info(task.task_id, may_send=turn.leave)
    if isinstance(answer, Unreadable) and answer.why is Why.NOT_SENT:
        logger.info("a poll of job %s is put off: %s", record.job_id, answer.message)
        return None
    return Asked(record, task, answer, record.read_at + timedelta(seconds=time.monotonic() - began))


def side_by_side(services: Services, turns: Sequence[Turn]) -> Iterator[list[Asked]]:
    """Make all of these polls; yields those that have finished, in groups, until none is left."""
    answers: SimpleQueue[Asked | BaseException | None] = SimpleQueue()

    def read(turn: Turn) -> None:
        try:
            answers.put(ask(services, turn))
        except BaseException as error:
            answers.put(error)

    for turn in turns:
        services.readers.submit(read, turn)
    left = len(turns)
    while left:
        finished = [answers.get()]
        deadline = time.monotonic() + REPORT_WITHIN
        with contextlib.suppress(Empty):
            while len(finished) < left:
                finished.append(answers.get(timeout=max(0.0, deadline - time.monotonic())))
        left -= len(finished)
        yield [asked for asked in finished if isinstance(asked, Asked)]
        for error in finished:
            if isinstance(error, BaseException):
                logger.error("a poll failed, and is repeated when its lease is over", exc_info=error)


def decide(services: Services, asked: Asked) -> AfterPoll:
    """Decide what follows from an answer."""
    record, task = asked.record, asked.task
    known_at = task.known_at or record.accepted_at
    assert known_at  # noqa: S101 - there is a task
    age = (asked.at - known_at).total_seconds()
    signalled = None if record.signalled_at is None else (asked.at - record.signalled_at).total_seconds()
    facts = Poll(
        age=age,
        time_left=services.settings.late_result_seconds - age,
        since_callback=signalled,
        imageless=0.0 if record.imageless_at is None else (asked.at - record.imageless_at).total_seconds(),
        images_grace=services.settings.images_seconds,
        tokens=() if task.confirmed else tuple(record.tokens.values()),
    )
    if record.state.ended:
        return after_late_poll(asked.answer, facts, services.late_policy)
    assert record.deadline  # noqa: S101 - it is set with the state
    policy = services.policies.of(kind_of(request_of(record)))
    left = (record.deadline - asked.at).total_seconds()
    return after_poll(asked.answer, replace(facts, time_left=left), policy)


def request_of(record: Record) -> TextToImage:
    """The job's request, which was validated at the submission."""
    return TextToImage.model_construct(**record.request)


def put_on_record(services: Services, finished: Sequence[Asked]) -> None:
    """Record the findings of polls, and store the results of jobs that have ended with them."""
    reports: list[tuple[Asked, Report]] = []
    overdue: list[tuple[Record, JobFailed]] = []
    for asked in finished:
        try:
            decision = decide(services, asked)
            if isinstance(decision, Fail):
                overdue.append((asked.record, decision.error))
            else:
                reports.append((asked, report_of(services, asked, decision)))
        except Exception:
            # A bug in one poll must not affect the other polls of the message.
            logger.exception("the poll of job %s is repeated when its lease is over", asked.record.job_id)
    if reports:
        report(services, reports)
    for record, error in overdue:
        try:
            end(services, record.job_id, error, [JobState.GENERATING], lease=record.lease)
        except RecordUnreadable as damaged:
            leave_alone(services, record.job_id, damaged)


def report(services: Services, reports: Sequence[tuple[Asked, Report]]) -> None:
    """Report polls together, and follow up each."""
    # A poll can be repeated, so this waits less long for Redis than after an attempt.
    answers = patiently(
        partial(services.ledger.jobs.report_polls, [report for _, report in reports]),
        f"polls of tasks {', '.join(asked.task.task_id for asked, _ in reports)}",
        patience=SHORT_PATIENCE,
    )
    for (asked, _), answer in zip(reports, answers, strict=True):
        if isinstance(answer, RecordUnreadable):
            leave_alone(services, asked.record.job_id, answer)
        else:
            follow_up(services, asked, answer)


def report_of(services: Services, asked: Asked, decision: PollAgain | Done | TaskOver | Lost) -> Report:
    """The report of a poll."""
    record, task, ttl = asked.record, asked.task, services.results.record_ttl
    url = None if task.confirmed else callback_url(asked.answer)
    attempt = record.attempt_of(url) if url else None
    match decision:
        case PollAgain():
            return _polled(asked, decision, attempt)
        case Done():
            return _succeeded(services, asked, decision, attempt)
        case TaskOver():
            return _failed(services, asked, decision, attempt)
        case Lost(reason):
            return TaskLost(
                job_id=record.job_id, task_id=task.task_id, reason=reason, ttl=ttl, grace=services.grace
            )


def _polled(asked: Asked, again: PollAgain, attempt: int | None) -> Polled:
    record, task, answer = asked.record, asked.task, asked.answer
    unreadable = answer if isinstance(answer, Unreadable) else None
    if unreadable and unreadable.why is Why.OTHER_TASK:
        logger.warning("job %s: the provider answered with the record of another task", record.job_id)
    sure = isinstance(answer, Pending) and not task.confirmed
    return Polled(
        job_id=record.job_id,
        lease=record.lease,
        answer=again.seen,
        poll_in=again.delay,
        # A single task that is already confirmed need not be written again.
        task_id=task.task_id if sure or len(record.tasks) > 1 else None,
        sure=sure,
        attempt=attempt,
        too_often=unreadable is not None and unreadable.cause is Cause.RATE_LIMITED,
        imageless=again.imageless,
        raw=raw_of(answer),
    )


def _succeeded(services: Services, asked: Asked, done: Done, attempt: int | None) -> TaskSucceeded:
    record, job_id, task_id = asked.record, asked.record.job_id, asked.task.task_id
    spent, duration = believed(done.credits), duration_of(asked, done)
    if done.credits is not None and spent is None:
        logger.warning(
            "job %s: task %s cannot have cost %s credits; its cost is unknown", job_id, task_id, done.credits
        )
    if done.relative:
        logger.warning("job %s: the provider sent URLs without a host: %s", job_id, ", ".join(done.urls))
    kind = kind_of(request_of(record))
    copied = bool(services.settings.copy_to) and not record.uncopied
    return TaskSucceeded(
        job_id=job_id,
        task_id=task_id,
        urls=done.urls,
        cost=done.credits,
        ttl=services.results.record_ttl,
        attempt=attempt,
        relative=done.relative,
        sample=None if duration is None else services.ledger.durations.sample(kind, duration),
        copy=services.settings.copy_patience_seconds if copied else None,
        result=None if copied else services.results.ahead(record, task_id, done.urls, spent, asked.at),
    )


def _failed(services: Services, asked: Asked, over: TaskOver, attempt: int | None) -> TaskFailed:
    record, task, retries = asked.record, asked.task, services.retries
    failed = asked.answer if isinstance(asked.answer, Failed) else None
    return TaskFailed(
        job_id=record.job_id,
        task_id=task.task_id,
        error=over.error.with_details(task_id=task.task_id),
        ttl=services.results.record_ttl,
        grace=services.grace,
        cost=over.credits,
        owed=over.error.charged == "yes",
        attempt=attempt,
        again=buy_again(failed, record.remade + 1, retries) if failed else None,
        pause=pause_after(failed, task.account, retries) if failed else None,
        raw=raw_of(asked.answer),
    )


def raw_of(answer: RecordAnswer) -> str:
    """The provider's answer, if it has no image that can be read."""
    return answer.raw if isinstance(answer, Done) and not answer.urls else ""


def duration_of(asked: Asked, done: Done) -> float | None:
    """The duration of the task in seconds by the provider's times, as far as we saw it ourselves.

    It was not longer than the time since the request was sent, and not shorter than the time until the last
    poll that found it unfinished. Times that say otherwise are wrong, and the middle is taken.
    """
    if done.created_ms is None or done.completed_ms is None:
        return None
    record = asked.record
    began = record.sent_at or record.created_at
    longest = (asked.at - began).total_seconds()
    unfinished = record.seen_at if record.seen_at and record.seen_at > began else began
    shortest = max(0.0, (unfinished - (record.accepted_at or began)).total_seconds())
    # A long number is too large for a float.
    told = max(-MOST_MS, min(done.completed_ms - done.created_ms, MOST_MS)) / 1000
    if shortest - SLACK <= told <= longest + SLACK:
        return told
    return (shortest + longest) / 2


def follow_up(services: Services, asked: Asked, came_to: TaskEnd) -> None:
    """Store the result if its record came back, and log the end."""
    if came_to.record is not None:
        store(services, came_to.record)
    if came_to.at is not None:
        state = came_to.record.state if came_to.record else JobState.SUCCEEDED
        logger.info("job %s %s with task %s", asked.record.job_id, state, asked.task.task_id)
    if isinstance(asked.answer, Done) and came_to.what != "stale":
        spent, expected = asked.answer.credits, price(request_of(asked.record))
        if spent is not None and spent != expected:
            logger.warning(
                "job %s cost %s credits, and provider/prices.py says %s", asked.record.job_id, spent, expected
            )
