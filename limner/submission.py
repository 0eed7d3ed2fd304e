"""What is checked before anything of a job is stored."""

import hashlib
import json
import math
import uuid
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from limner.errors import InvalidRequest
from limner.ledger import Durability, Submission, Submitted
from limner.models import TextToImage, faults

DAY = 86400.0
LONGEST = 10_000_000.0
MAX_KEY_LENGTH = 255
MAX_METADATA_BYTES = 4096
MAX_NAME_LENGTH = 64
DEFAULT_PRIORITY = 5


def prepare(
    request: TextToImage,
    *,
    job_id: str | None = None,
    idempotency_key: str | None = None,
    idempotency_seconds: float = DAY,
    priority: int = DEFAULT_PRIORITY,
    metadata: Mapping[str, Any] | None = None,
    lane: str | None = None,
    account: str | None = None,
    expires_in: float | None = None,
) -> Submission:
    """A checked submission; raises InvalidRequest, which names the argument."""
    if not isinstance(request, TextToImage):
        raise InvalidRequest(f"request: a TextToImage or a prompt is needed, not {type(request).__name__}")
    if isinstance(priority, bool) or not isinstance(priority, int) or not 0 <= priority <= 9:
        raise InvalidRequest(f"priority: must be a whole number from 0 to 9, not {priority!r}")
    text = request.model_dump_json(exclude_none=True)
    return Submission(
        job_id=job_id or str(uuid.uuid4()),
        request=text,
        digest=_digest(text),
        metadata=_metadata(metadata),
        priority=priority,
        key=None if idempotency_key is None else _key(idempotency_key),
        key_ttl=idempotency_seconds,
        lane=None if lane is None else _name(lane, "lane"),
        account=None if account is None else _name(account, "account"),
        expires_in=None if expires_in is None else checked_seconds(expires_in, "expires_in"),
    )


def check_account(submitted: Submitted, new: Submission) -> None:
    """Raises InvalidRequest if a submission names an account that there is not."""
    if submitted.outcome == "no_account":
        raise InvalidRequest(f"account: there is no {new.account!r}; the fleet has {submitted.job_id}")


def _name(name: str, argument: str) -> str:
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME_LENGTH or not name.isprintable():
        raise InvalidRequest(f"{argument}: must be a text of 1 to {MAX_NAME_LENGTH} printable characters")
    return name


def of_prompt(prompt: str) -> TextToImage:
    """The request of a prompt alone; raises InvalidRequest."""
    try:
        return TextToImage(prompt=prompt)
    except ValidationError as error:
        raise InvalidRequest("; ".join(faults(error))) from None


def checked_seconds(value: float | str, name: str) -> float:
    """A duration; raises InvalidRequest, which names it."""
    try:
        seconds = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        seconds = math.nan
    if not 0 < seconds <= LONGEST:
        raise InvalidRequest(f"{name}: must be a number of seconds above 0 and up to {LONGEST:.0f}")
    return seconds


def checked_durability(value: str, name: str = "durability") -> Durability:
    """A durability; raises InvalidRequest, which names the setting."""
    try:
        return Durability(value)
    except ValueError:
        known = ", ".join(Durability)
        raise InvalidRequest(f"{name}: must be one of {known}, not {value!r}") from None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _key(key: str) -> str:
    if not isinstance(key, str) or not key.strip() or len(key) > MAX_KEY_LENGTH or not encodable(key):
        raise InvalidRequest(f"idempotency_key: must be a text of 1 to {MAX_KEY_LENGTH} characters")
    return _digest(key)


def _metadata(metadata: Mapping[str, Any] | None) -> str:
    if metadata is None:
        return "{}"
    if not isinstance(metadata, Mapping) or not all(isinstance(name, str) for name in metadata):
        raise InvalidRequest("metadata: must be a mapping with text keys")
    try:
        text = json.dumps(dict(metadata), allow_nan=False, ensure_ascii=False, separators=(",", ":"))
        size = len(text.encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidRequest(f"metadata: cannot be written as JSON ({error})") from None
    if size > MAX_METADATA_BYTES:
        raise InvalidRequest(f"metadata: at most {MAX_METADATA_BYTES} bytes as JSON, these are {size}")
    return text


def encodable(text: str) -> bool:
    """Whether it can be written as UTF-8."""
    return not any("\ud800" <= character <= "\udfff" for character in text)
