"""The checks before anything of a job is stored."""

import hashlib
import uuid
from typing import Unpack

from pydantic import ValidationError

from limner.configuration import DAY
from limner.errors import IdempotencyConflict, InvalidRequest
from limner.ledger import Submission, Submitted
from limner.models import TextToImage, faults
from limner.namespaces import key_label
from limner.options import SubmitKeywords, SubmitOptions

MAX_KEY_LENGTH = 255


def prepare(
    request: TextToImage,
    *,
    job_id: str | None = None,
    idempotency_key: str | None = None,
    idempotency_seconds: float = DAY,
    **options: Unpack[SubmitKeywords],
) -> Submission:
    """A checked submission; raises as :func:`submission_of` and :meth:`SubmitOptions.checked`."""
    return submission_of(
        request,
        SubmitOptions.checked(**options),
        job_id=job_id,
        idempotency_key=idempotency_key,
        idempotency_seconds=idempotency_seconds,
    )


def submission_of(
    request: TextToImage,
    options: SubmitOptions,
    *,
    job_id: str | None = None,
    idempotency_key: str | None = None,
    idempotency_seconds: float = DAY,
    namespace: str = "",
) -> Submission:
    """The submission of a request with options that are checked; raises InvalidRequest, which names what is
    wrong."""
    if not isinstance(request, TextToImage):
        raise InvalidRequest(f"request: a TextToImage or a prompt is needed, not {type(request).__name__}")
    text = _text(request)
    return Submission(
        job_id=str(uuid.uuid4()) if job_id is None else job_id,
        request=text,
        digest=_digest(text),
        options=options,
        key=None if idempotency_key is None else key_label(namespace, _key(idempotency_key)),
        key_ttl=idempotency_seconds,
        namespace=namespace,
    )


def check_account(submitted: Submitted, new: Submission) -> None:
    """Raises InvalidRequest if a submission names an account that there is not."""
    if submitted.outcome == "no_account":
        raise InvalidRequest(
            f"account: there is no {new.options.account!r}; the fleet has {submitted.job_id}"
        )


def conflict(submitted: Submitted, new: Submission, name: str) -> IdempotencyConflict:
    """The error for a key or an id, the field with that ``name``, that belongs to another request."""
    created, refused = (time and time.isoformat() for time in (submitted.created_at, submitted.now))
    return IdempotencyConflict(
        f"{name}: already belongs to job {submitted.job_id}, which was submitted at {created} with another "
        f"request: its digest is {submitted.digest}, and that of this request, of {refused}, is {new.digest}",
        {
            "job_id": submitted.job_id,
            "digest": submitted.digest,
            "created_at": created,
            "other_digest": new.digest,
            "refused_at": refused,
        },
    )


def of_prompt(prompt: str) -> TextToImage:
    """The request of a prompt alone; raises InvalidRequest."""
    try:
        return TextToImage(prompt=prompt)
    except ValidationError as error:
        raise InvalidRequest("; ".join(faults(error))) from None


def _text(request: TextToImage) -> str:
    """The request as the record keeps it. Raises InvalidRequest if a worker could not read it.

    ``model_copy(update=…)``, ``model_construct`` and subclasses make objects that nobody has checked.
    """
    try:
        text = request.model_dump_json(exclude_none=True, warnings=False)
        TextToImage.model_validate_json(text)
    except ValidationError as error:
        raise InvalidRequest("; ".join(faults(error))) from None
    except ValueError:
        raise InvalidRequest("request: it has a value that cannot be written as JSON") from None
    return text


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _key(key: str) -> str:
    if not isinstance(key, str) or not key.strip() or len(key) > MAX_KEY_LENGTH or not encodable(key):
        raise InvalidRequest(f"idempotency_key: must be a text of 1 to {MAX_KEY_LENGTH} characters")
    return _digest(key)


def encodable(text: str) -> bool:
    """True if it can be written as UTF-8."""
    return not any("\ud800" <= character <= "\udfff" for character in text)
