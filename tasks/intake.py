"""The entrance for plain Celery: a message that names ``limner.create_task`` becomes a job.

Its kwargs are the parameters of a TextToImage, with options of a submit if needed. The Celery task's id is
also the job's, and so serves as idempotency key.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

from celery.exceptions import Reject
from celery.utils.time import maybe_iso8601, maybe_make_aware
from pydantic import ValidationError

from limner.errors import InvalidRequest, LimnerError, MessageTooOld, RepeatedMessage, StoreUnavailable
from limner.ledger import Submission, Submitted
from limner.models import TextToImage, faults, short_name
from limner.options import LONGEST, OPTIONS
from limner.submission import check_account, conflict, encodable, prepare
from tasks.commit import patiently
from tasks.message_time import SKEW, too_old
from worker.continuations import Asked, on_record, take_from
from worker.services import Services

logger = logging.getLogger(__name__)

MAX_ID_LENGTH: Final = 200
AT_ONCE: Final = 0.001
"""Seconds until a job expires whose message came too late."""


def accept(
    services: Services, message: Any, positional: Sequence[Any], parameters: Mapping[str, Any]
) -> None:
    """Make a job of a plain Celery message; a bad one ends as a FAILURE that names the field.

    What the message asks of Celery (callbacks, a chain, an expiry) is taken from it: it concerns the job, and
    not this task. While Redis is away, it raises Reject, so that the broker delivers the message again. A
    message that comes again, or has the id of another job, changes nothing of that job, and no result that
    is there.
    """
    job_id, asked, now = message.id, take_from(message), datetime.now(UTC)
    memory = timedelta(seconds=services.settings.message_seconds)
    try:
        try:
            new = replace(
                submission(job_id, positional, parameters),
                celery=on_record(asked),
                remember=(memory + SKEW).total_seconds(),
                too_old=too_old(message, now, memory),
            )
            new = in_time(new, message, now)
            known = patiently(partial(services.ledger.jobs.submit, new), f"job {job_id} of a Celery producer")
            check_account(known, new)
            answer_repetition(services, known, new)
        except InvalidRequest as error:
            if not refuse(services, job_id, error, asked):
                why = f"refused, and its id is that of a job: {error}"
                call = f"id {job_id}, {parameters!r}"
                services.letters.add(why, services.settings.queue, call.encode(errors="replace"))
    except StoreUnavailable as error:
        raise Reject(error, requeue=True) from error


def in_time(new: Submission, message: Any, now: datetime) -> Submission:
    """The submission with the start (``eta``) and the end (``expires``) that its message names.

    A job that has expired already expires as soon as it is on the ledger, unless its id is known there.
    """
    expires, eta = (_seconds(getattr(message, name, None), now, name) for name in ("expires", "eta"))
    options = new.options
    if expires is not None:
        soonest = min(options.expires_in or LONGEST, LONGEST, max(expires, AT_ONCE))
        options = options.model_copy(update={"expires_in": soonest})
    starts_in = min(eta, LONGEST) if eta is not None and eta > 0 else None
    return replace(new, options=options, starts_in=starts_in)


def _seconds(moment: Any, now: datetime, name: str) -> float | None:
    """The seconds until a time of a message. A time without a zone is UTC, as for Celery."""
    if moment is None:
        return None
    try:
        read: Any = maybe_iso8601(moment)
        return float((maybe_make_aware(read, UTC) - now).total_seconds())
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        raise InvalidRequest(f"{name}: {moment!r} is no time ({error})") from None


def answer_repetition(services: Services, known: Submitted, new: Submission) -> None:
    """Answer a message that has made no job because its id is taken, or may have been.

    If the id's result is still to come, or is kept, it is the answer, and stays.
    """
    error: LimnerError
    match known.outcome:
        case "conflict":
            # The result under this id is the first job's. So only logs can say it: this one, and the job's.
            logger.warning("a Celery message is refused: %s", conflict(known, new, "task_id"))
            return
        case "gone" if known.digest != new.digest:
            error = conflict(known, new, "task_id")
        case "gone":
            error = RepeatedMessage(
                f"task_id: this message became job {new.job_id} at {known.created_at}, whose result is not "
                "kept any more; nothing was bought again"
            )
        case "too_old":
            error = MessageTooOld(
                f"task_id: the message of {new.job_id} is older than LIMNER_MESSAGE_SECONDS, "
                f"{services.settings.message_seconds:.0f} s, so its images may have been paid for already; "
                "send a new message if they were not"
            )
        case _:
            return
    logger.warning("a Celery message is refused: %s", error)
    refuse(services, new.job_id, error)


def submission(job_id: str, positional: Sequence[Any], parameters: Mapping[str, Any]) -> Submission:
    """The submission of a message; raises InvalidRequest."""
    if positional:
        raise InvalidRequest("limner.create_task takes its parameters by name (kwargs), not by position")
    if not 0 < len(job_id) <= MAX_ID_LENGTH or not job_id.isprintable():
        raise InvalidRequest(f"task_id: 1 to {MAX_ID_LENGTH} printable characters are needed")
    if job_id in (".", ".."):
        raise InvalidRequest("task_id: must not be . or .., which no callback URL can hold")
    if odd := next((name for name in parameters if not encodable(name)), None):
        raise InvalidRequest(f"{short_name(odd)}: there is no such parameter")
    fields = dict(parameters)
    options = {name: fields.pop(name) for name in OPTIONS if name in fields}
    try:
        request = TextToImage.model_validate(fields)
    except ValidationError as error:
        raise InvalidRequest("; ".join(faults(error))) from None
    return prepare(request, job_id=job_id, **options)


def refuse(services: Services, job_id: str, error: LimnerError, asked: Asked | None = None) -> bool:
    """Store a refusal as the result, unless the id is a job's. Raises StoreUnavailable."""
    stored = patiently(
        partial(services.results.refuse, job_id, error, asked), f"message {job_id} is refused: {error}"
    )
    if not stored:
        logger.info("a message with the id of job %s is refused, which nobody is told: %s", job_id, error)
    return stored


def refuse_message(services: Services, job_id: str, fault: str) -> None:
    """Tell a producer why its message, which was set aside, makes no job.

    While Redis is away, it raises Reject, so that the broker delivers the message again.
    """
    try:
        refuse(services, job_id, InvalidRequest(fault))
    except StoreUnavailable as error:
        raise Reject(error, requeue=True) from error


def refuse_call(services: Services, job_id: str, error: Exception) -> None:
    """Store the error of a plain message that could not become a job, because its producer waits for it."""
    refuse(services, job_id, InvalidRequest(f"limner.create_task cannot be called so: {error}"))
