"""The entrance for plain Celery: a message that names ``limner.create_task`` becomes a job.

Its kwargs are the parameters of a TextToImage, with options of a submit if needed. The Celery task's id is
also the job's, and so serves as idempotency key.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from celery.exceptions import Reject
from pydantic import ValidationError

from limner.errors import InvalidRequest, StoreUnavailable
from limner.ledger import Submission
from limner.models import TextToImage, faults, short_name
from limner.options import SubmitOptions
from limner.submission import check_account, encodable, prepare
from tasks.commit import patiently
from worker.services import Services

MAX_ID_LENGTH: Final = 200


def accept(services: Services, job_id: str, positional: Sequence[Any], parameters: Mapping[str, Any]) -> None:
    """Make a job of a plain Celery message; a bad one ends as a FAILURE that names the field.

    While Redis is away, it raises Reject, so that the broker delivers the message again.
    """
    try:
        try:
            new = submission(job_id, positional, parameters)
            known = patiently(partial(services.ledger.jobs.submit, new), f"job {job_id} of a Celery producer")
            check_account(known, new)
        except InvalidRequest as error:
            patiently(
                partial(services.results.refuse, job_id, error), f"message {job_id} is refused: {error}"
            )
    except StoreUnavailable as error:
        raise Reject(error, requeue=True) from error


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
    services.results.refuse(job_id, InvalidRequest(f"limner.create_task cannot be called so: {error}"))
