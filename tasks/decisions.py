"""The decisions that follow from the provider's answers: from data to data, without side effects."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Final, TypeVar

from limner.errors import AttemptsExhausted, DeadlineExceeded, InDoubt, JobFailed, NoImages
from limner.ledger import Closing, Grant
from provider import (
    Accepted,
    Cause,
    CreateAnswer,
    Disposition,
    Done,
    FailCause,
    Failed,
    NoRecord,
    Pending,
    RecordAnswer,
    Refused,
    Trouble,
    Unknown,
    Unreadable,
    Why,
    callback_url,
)
from worker.limits.pauses import LONGEST_RETRY_AFTER
from worker.limits.retries import RetryPolicy
from worker.polling.policies import PollPolicy

NO_RECORD_GRACE: Final = 120.0
"""Seconds for which "no such record" does not prove that a task is lost (contract 2.4)."""
LONGEST_OUTAGE: Final = 86_400.0
"""Seconds after a job's deadline for which its task is polled while no answer can be read."""
IMAGES_PAUSE: Final = (2.0, 30.0)
"""The first and the longest wait in seconds between two polls for images that are missing."""


# After createTask


@dataclass(frozen=True, slots=True)
class Follow:
    """The task exists: poll it in ``poll_in`` seconds."""

    task_id: str
    poll_in: float


@dataclass(frozen=True, slots=True)
class SendAgain:
    """Send again in ``delay`` seconds. ``pause``, if any, is what the answer says about the account."""

    error: Mapping[str, Any]
    delay: float
    pause: Closing | None = None
    unsent: bool = False
    """True if the provider has never received the request."""
    doubtful: bool = False
    """True if a task may have been started all the same. Only such an attempt counts against the maximum."""


@dataclass(frozen=True, slots=True)
class LeaveInDoubt:
    """Something may have been started. ``task_ids`` are what may be the id of the task."""

    error: Mapping[str, Any]
    pause: Closing | None = None
    task_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fail:
    """The job ends in this error. ``pause``, if any, is what the answer says about the account."""

    error: JobFailed
    pause: Closing | None = None


AfterCreate = Follow | SendAgain | LeaveInDoubt | Fail


def after_create(
    answer: CreateAnswer,
    grant: Grant,
    *,
    policy: PollPolicy,
    retries: RetryPolicy,
) -> AfterCreate:
    """The decision after an answer to createTask."""
    match answer:
        case Accepted(task_id):
            return Follow(task_id, policy.next_poll(0.0))
        case Unknown():
            # An answer of the API that names a task in its own way is no trouble.
            named = answer.task_ids and answer.http_status and 200 <= answer.http_status < 300
            pause = None if named else retries.pauses.trouble(answer.trouble, answer.retry_after)
            return LeaveInDoubt(log_detail(answer), pause, answer.task_ids)
        case Refused(cause=cause):
            match cause.disposition:
                case Disposition.STOP:
                    pause = retries.pauses.closing(cause, grant.account, answer.retry_after)
                    return SendAgain(log_detail(answer), delay=0.0, pause=pause)
                case Disposition.AGAIN:
                    return _never_processed(answer, grant, retries)
                case Disposition.LATER:
                    return _after_fault(answer, grant, retries)
                case Disposition.NEVER:
                    details = {
                        "code": answer.code,
                        "attempts": grant.tries,
                        "last_error": log_detail(answer),
                    }
                    said = f"{cause.value}, code {answer.code}: {answer.message or 'no message'}"
                    return Fail(cause.error(f"The provider refused the request: {said}", details))


def _never_processed(answer: Refused, grant: Grant, retries: RetryPolicy) -> SendAgain:
    """The request did not reach the provider. Until its account pauses, the job itself waits."""
    trouble = answer.cause.trouble
    vain = 1 + grant.attempt - grant.tries
    return SendAgain(
        log_detail(answer),
        delay=retries.backoff.delay(vain, retries.random),
        pause=retries.pauses.trouble(trouble, answer.retry_after) if trouble else None,
        unsent=True,
    )


def _after_fault(answer: Refused, grant: Grant, retries: RetryPolicy) -> SendAgain | Fail:
    """The provider reported a fault of its own. A task may exist all the same (contract 1.4)."""
    faults, pause = grant.faults + 1, retries.pauses.trouble(Trouble.FAULTY, answer.retry_after)
    if faults < retries.fault_attempts and grant.tries < retries.max_attempts:
        delay = max(retries.fault_delay(faults), min(answer.retry_after or 0.0, LONGEST_RETRY_AFTER))
        return SendAgain(log_detail(answer), delay, pause, doubtful=True)
    details = {
        "code": answer.code,
        "attempts": grant.tries,
        "last_error": log_detail(answer),
        "charged": "maybe",
    }
    said = f"{answer.cause.value}, code {answer.code}: {answer.message or 'no message'}"
    return Fail(
        AttemptsExhausted(f"The provider met a fault in all {faults} attempts: {said}", details), pause
    )


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
    imageless: bool = False
    """True if the task has succeeded, and no image can be read."""


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
    imageless: float = 0.0
    """The time since a task of the job first succeeded without an image that can be read."""
    images_grace: float = 300.0
    """The time for which such a success does not prove that there are no images (contract 10)."""
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
    # Without a readable answer, nobody knows whether the task has ended in time.
    unread = isinstance(answer, Unreadable) and answer.why not in _OF_THE_API
    too_late = poll.time_left <= (-LONGEST_OUTAGE if unread else 0.0)
    return too_long(seen(answer)) if too_late else _again(answer, poll, policy)


def _over(answer: RecordAnswer, poll: Poll) -> PollAgain | Done | TaskOver | Lost | None:
    if poll.tokens:
        url = callback_url(answer)
        if url is not None and not any(token in url for token in poll.tokens):
            return Lost({"cause": "foreign", "message": "the provider says that the task is another job's"})
        if isinstance(answer, NoRecord) and poll.age >= NO_RECORD_GRACE:
            return Lost({"cause": "no_record", "message": "the provider does not know the task"})
    match answer:
        case Done(urls=()):
            return _imageless(answer, poll)
        case Done():
            return answer
        case Failed(cause=cause, code=code, message=message):
            said = message or "no message"
            error = cause.error(f"The task failed: {cause.value}, code {code}: {said}", {"code": code})
            return TaskOver(error)
    return None


def _imageless(answer: Done, poll: Poll) -> PollAgain | TaskOver:
    """The task has succeeded, and no image can be read: the files may come later (contract 10)."""
    if answer.withheld:
        return TaskOver(NoImages(f"The provider withheld the images: {answer.withheld}"), answer.credits)
    if poll.imageless >= poll.images_grace:
        return TaskOver(NoImages("The task succeeded without an image that can be read"), answer.credits)
    first, longest = IMAGES_PAUSE
    return PollAgain(min(max(first, poll.imageless / 2), longest), "success without an image", imageless=True)


def buy_again(answer: Failed, bought: int, retries: RetryPolicy) -> float | None:
    """Seconds until the job is sent again after a failed task, the ``bought``-th one; None if it is not.

    A failed task costs nothing (contract 2.3). What the account lacks may be there after its pause.
    """
    over = bought >= retries.generation_attempts
    if over or not (answer.transient or answer.cause in _ACCOUNT_CAUSES):
        return None
    return retries.backoff.delay(bought, retries.random)


def pause_after(answer: Failed, account: str, retries: RetryPolicy) -> Closing | None:
    """The pause that a task's failure means for its account, if any."""
    cause = _ACCOUNT_CAUSES.get(answer.cause)
    return retries.pauses.closing(cause, account) if cause else None


_OF_THE_API: Final = frozenset({Why.UNKNOWN_CODE, Why.CONTRADICTORY, Why.BAD_DATA, Why.OTHER_TASK})
"""Unreadable answers that show nevertheless that the way to the API is open."""

_ACCOUNT_CAUSES: Final[Mapping[FailCause, Cause]] = {
    FailCause.NO_CREDITS: Cause.NO_CREDITS,
    FailCause.KEY_CAPPED: Cause.KEY_CAPPED,
}


def _again(answer: Pending | NoRecord | Unreadable, poll: Poll, policy: PollPolicy) -> PollAgain:
    delay = policy.next_poll(poll.age, poll.since_callback)
    if poll.time_left > 0:
        # The last poll is at the deadline itself, not up to half a minute after it.
        delay = min(delay, poll.time_left)
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
