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
from pydantic import ValidationError

from limner.errors import InvalidRequest, LimnerError, MessageTooOld, RepeatedMessage, StoreUnavailable
from limner.ledger import Submission, Submitted
from limner.models import TextToImage, faults, short_name
from limner.options import SubmitOptions
from limner.submission import check_account, conflict, encodable, prepare
from tasks.commit import patiently
from tasks.message_time import SKEW, too_old
from worker.services import Services

logger = logging.getLogger(__name__)

MAX_ID_LENGTH: Final = 200


def accept(
    services: Services, job_id: str, positional: Sequence[Any], parameters: Mapping[str, Any], message: Any
) -> None:
    """Make a job of a plain Celery message; a bad one ends as a FAILURE that names the field.

    While Redis is away, it raises Reject, so that the broker delivers the message again. A message that comes
    again, or has the id of another job, changes nothing of that job, and no result that is there.
    """
    memory = timedelta(seconds=services.settings.message_seconds)
    try:
        try:
            new = replace(
                submission(job_id, positional, parameters),
                remember=(memory + SKEW).total_seconds(),
                too_old=too_old(message, datetime.now(UTC), memory),
            )
            known = patiently(partial(services.ledger.jobs.submit, new), f"job {job_id} of a Celery producer")
            check_account(known, new)
            answer_repetition(services, known, new)
        except InvalidRequest as error:
            patiently(partial(refuse, services, job_id, error), f"message {job_id} is refused: {error}")
    except StoreUnavailable as error:
        raise Reject(error, requeue=True) from error


def answer_repetition(services: Services, known: Submitted, new: Submission) -> None:
    """Answer a message that has made no job because its id is taken, or may have been.

    If the id's result is still to come, or is kept, it is the answer; an error would overwrite it.
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
    if not patiently(partial(services.results.has, new.job_id), f"message {new.job_id} came again"):
        patiently(
            partial(services.results.refuse, new.job_id, error), f"message {new.job_id} is refused: {error}"
        )


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
    options = {name: fields.pop(name) for name in SubmitOptions.model_fields if name in fields}
    try:
        request = TextToImage.model_validate(fields)
    except ValidationError as error:
        raise InvalidRequest("; ".join(faults(error))) from None
    return prepare(request, job_id=job_id, **options)


def refuse_call(services: Services, job_id: str, error: Exception) -> None:
    """Store the error of a plain message that could not become a job, because its producer waits for it."""
    refuse(services, job_id, InvalidRequest(f"limner.create_task cannot be called so: {error}"))


def refuse(services: Services, job_id: str, error: InvalidRequest) -> None:
    """Store the error of a message as its result, unless the result under its id is that of a job."""
    if not job_id:
        logger.warning("a Celery message without an id is refused, and nobody can be told: %s", error)
    elif services.ledger.jobs.has_taken(job_id):
        logger.warning("a Celery message with the id of job %s is refused: %s", job_id, error)
    else:
        services.results.refuse(job_id, error)
