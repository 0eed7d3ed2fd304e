"""The decisions that follow from the provider's answers: from data to data, without side effects."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Final, TypeVar

from limner.errors import DeadlineExceeded, InDoubt, JobFailed, NoImages
from limner.ledger import Closing
from provider import (
    Accepted,
    Cause,
    CreateAnswer,
    Disposition,
    Done,
    Failed,
    NoRecord,
    Pending,
    RecordAnswer,
    Refused,
    Unknown,
    Unreadable,
    callback_url,
)
from worker.limits.pauses import LONGEST_RETRY_AFTER
from worker.limits.retries import RetryPolicy
from worker.polling.policies import PollPolicy

NO_RECORD_GRACE: Final = 120.0
"""Seconds for which "no such record" does not prove that a task is lost (contract 2.4)."""


# After createTask


@dataclass(frozen=True, slots=True)
class Follow:
    """The task exists: poll it in ``poll_in`` seconds."""

    task_id: str
    poll_in: float


@dataclass(frozen=True, slots=True)
class SendAgain:
    """Nothing was started: send again in ``delay`` seconds. ``pause``, if any, closes the account."""

    error: Mapping[str, Any]
    delay: float
    pause: Closing | None = None
    unsent: bool = False
    """True if the provider has never received the request."""


@dataclass(frozen=True, slots=True)
class LeaveInDoubt:
    """Something may have been started."""

    error: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Fail:
    """The job ends in this error."""

    error: JobFailed
    unsent: bool = False
    """True if the provider has never received the request."""


AfterCreate = Follow | SendAgain | LeaveInDoubt | Fail


def after_create(
    answer: CreateAnswer,
    *,
    tries: int,
    account: str,
    policy: PollPolicy,
    retries: RetryPolicy,
) -> AfterCreate:
    """The decision after an answer to createTask; ``tries`` counts the attempts so far, this one included."""
    match answer:
        case Accepted(task_id):
            return Follow(task_id, policy.next_poll(0.0))
        case Unknown():
            return LeaveInDoubt(log_detail(answer))
        case Refused(cause=cause) if cause.disposition is Disposition.STOP:
            closing = retries.pauses.closing(cause, account, answer.retry_after)
            return SendAgain(log_detail(answer), delay=0.0, pause=closing)
        case Refused(cause=cause) if cause.disposition is Disposition.LATER and tries < retries.max_attempts:
            delay = retries.backoff.delay(tries, retries.random)
            asked_for = min(answer.retry_after or 0.0, LONGEST_RETRY_AFTER)
            doubtful = retries.callback_patience if cause is Cause.SERVER_FAULT else 0.0
            unsent = cause is Cause.NOT_CONNECTED
            return SendAgain(log_detail(answer), delay=max(delay, asked_for, doubtful), unsent=unsent)
        case Refused(cause=cause):
            details: dict[str, Any] = {
                "code": answer.code,
                "attempts": tries,
                "last_error": log_detail(answer),
            }
            if cause is Cause.SERVER_FAULT:
                # A task may exist behind it (contract 1.4).
                details["charged"] = "maybe"
            return Fail(cause.error(_refusal(answer, tries), details), unsent=cause is Cause.NOT_CONNECTED)


def _refusal(answer: Refused, tries: int) -> str:
    said = f"{answer.cause.value}, code {answer.code}: {answer.message or 'no message'}"
    if answer.cause.disposition is Disposition.LATER:
        return f"The provider refused all {tries} attempts; the last one: {said}"
    return f"The provider refused the request: {said}"


def without(answer: CreateAnswer, secrets: Iterable[str]) -> CreateAnswer:
    """The answer without these secrets in its message, because the provider may quote the callback URL."""
    if isinstance(answer, Accepted):
        return answer
    message = answer.message
    for secret in secrets:
        message = message.replace(secret, "***")
    return replace(answer, message=message)


def log_detail(answer: Refused | Unknown | Unreadable) -> dict[str, Any]:
    """The form of an answer in a job's log."""
    kind = answer.cause.value if isinstance(answer, Refused) else answer.why.value
    facts = {
        "cause": kind,
        "code": answer.code,
        "http_status": answer.http_status,
        "message": answer.message,
    }
    return {name: fact for name, fact in facts.items() if fact is not None}


# After recordInfo


@dataclass(frozen=True, slots=True)
class PollAgain:
    """Not ready: poll again in ``delay`` seconds. ``seen`` is the text for the log."""

    delay: float
    seen: str


@dataclass(frozen=True, slots=True)
class TaskOver:
    """The task has ended without images. The job ends with it if it has no other task."""

    error: JobFailed
    credits: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Lost:
    """The task is not polled any more."""

    reason: Mapping[str, Any]


AfterPoll = PollAgain | Done | TaskOver | Lost | Fail

End = TypeVar("End")


@dataclass(frozen=True, slots=True)
class Poll:
    """The facts about a task when its answer comes. Times are in seconds."""

    age: float
    """The time since it was accepted or adopted."""
    time_left: float
    """The time until the job's deadline, or until the late polls of an ended job stop."""
    since_callback: float | None = None
    """The time since a callback last named it."""
    tokens: Collection[str] = field(default=(), repr=False)
    """The secrets of the job's attempts, if the provider has yet to confirm that the task is this job's."""


def after_poll(answer: RecordAnswer, poll: Poll, policy: PollPolicy) -> AfterPoll:
    """The decision for a job after a poll of its task."""

    def too_long(said: str) -> Fail:
        return Fail(DeadlineExceeded(f"The task had not ended when the job's time was over: {said}"))

    return _follow(answer, poll, policy, too_long)


def after_late_poll(
    answer: RecordAnswer, poll: Poll, policy: PollPolicy
) -> PollAgain | Done | TaskOver | Lost:
    """The decision after a late poll, for a job that had ended without its task."""

    def too_long(said: str) -> Lost:
        return Lost({"cause": "given_up", "message": f"not polled any more: {said}"})

    return _follow(answer, poll, policy, too_long)


def _follow(
    answer: RecordAnswer, poll: Poll, policy: PollPolicy, too_long: Callable[[str], End]
) -> PollAgain | Done | TaskOver | Lost | End:
    over = _over(answer, poll)
    if over is not None:
        return over
    assert isinstance(answer, Pending | NoRecord | Unreadable)  # noqa: S101 - what is left
    return too_long(seen(answer)) if poll.time_left <= 0 else _again(answer, poll, policy)


def _over(answer: RecordAnswer, poll: Poll) -> Done | TaskOver | Lost | None:
    if poll.tokens:
        url = callback_url(answer)
        if url is not None and not any(token in url for token in poll.tokens):
            return Lost({"cause": "foreign", "message": "the provider says that the task is another job's"})
        if isinstance(answer, NoRecord) and poll.age >= NO_RECORD_GRACE:
            return Lost({"cause": "no_record", "message": "the provider does not know the task"})
    match answer:
        case Done(urls=(), credits=spent):
            return TaskOver(NoImages("The task succeeded without an image"), spent)
        case Done():
            return answer
        case Failed(cause=cause, code=code, message=message):
            said = message or "no message"
            error = cause.error(f"The task failed: {cause.value}, code {code}: {said}", {"code": code})
            return TaskOver(error)
    return None


def _again(answer: Pending | NoRecord | Unreadable, poll: Poll, policy: PollPolicy) -> PollAgain:
    # The last poll is at the deadline itself, not up to half a minute after it.
    delay = min(policy.next_poll(poll.age, poll.since_callback), poll.time_left)
    retry_after = answer.retry_after if isinstance(answer, Unreadable) else None
    return PollAgain(max(delay, min(retry_after or 0.0, LONGEST_RETRY_AFTER)), seen(answer))


def seen(answer: Pending | NoRecord | Unreadable) -> str:
    """A poll's answer in a few words."""
    match answer:
        case Pending(state=state, known_state=known):
            return state if known else f"unknown state {state!r}"
        case NoRecord(code=code):
            return f"no record (code {code})"
        case Unreadable(why=why, code=code, message=message):
            return f"unreadable: {why.value}, code {code}, {message}"


# Without an answer


def lease_over() -> dict[str, Any]:
    """The reason for the doubt about an attempt whose worker has vanished."""
    return {"cause": "worker_lost", "message": "the worker that was sending vanished before it had an answer"}


def in_doubt(error: Mapping[str, Any] | None) -> InDoubt:
    """The error of a job whose doubt was not resolved."""
    reason = (error or {}).get("message") or (error or {}).get("cause") or "no certain answer"
    return InDoubt(
        f"It is not known whether the provider accepted the request ({reason})", {"last_error": error}
    )


def accepted_unnamed(job_id: str) -> InDoubt:
    """The error of a job of which a callback has proved an attempt, without a task id that could be read."""
    return InDoubt(
        "The provider accepted the request, and the id of its task is unknown: look for it in the provider's "
        f"log, then `python -m limner resolve {job_id} --adopt TASK`",
        {"charged": "yes"},
    )


def too_late(error: Mapping[str, Any] | None) -> DeadlineExceeded:
    """The error of a job whose deadline passed while it waited to be sent again: nothing was started."""
    last = error or {}
    said = f"{last.get('cause')}, code {last.get('code')}: {last.get('message')}"
    return DeadlineExceeded(
        f"The provider refused all attempts until the job's time was over; the last one: {said}",
        {"last_error": error, "charged": "no"},
    )
