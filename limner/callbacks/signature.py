"""The provider's signature of a callback (contract 3.2).

It proves that the provider has called about this task within the window, and nothing of the body or the URL.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Final

from pydantic import SecretStr

from limner.callbacks.refusal import Refusal

TIMESTAMP: Final = "x-webhook-timestamp"
SIGNATURE: Final = "x-webhook-signature"
WINDOW: Final = 600
"""Seconds that a signature is good for, either way. The provider names none; its clients use 10 minutes."""

_SECONDS: Final = re.compile(r"[0-9]{1,12}")


def signature(key: SecretStr, task_id: str, timestamp: str) -> bytes:
    """base64 of HMAC-SHA256 over ``taskId.timestamp``; the timestamp is in seconds since the epoch."""
    signed = hmac.digest(key.get_secret_value().encode(), f"{task_id}.{timestamp}".encode(), hashlib.sha256)
    return base64.b64encode(signed)


def check(key: SecretStr, task_id: str, headers: Mapping[str, str], now: float) -> Refusal | None:
    """The fault of the signature at the time ``now``, or None. The headers' names are in lower case."""
    timestamp = headers.get(TIMESTAMP, "").strip()
    # As bytes: of text, compare_digest takes only ASCII.
    given = headers.get(SIGNATURE, "").strip().encode(errors="replace")
    if not _SECONDS.fullmatch(timestamp):
        return Refusal.BAD_SIGNATURE
    if not hmac.compare_digest(given, signature(key, task_id, timestamp)):
        return Refusal.BAD_SIGNATURE
    return Refusal.STALE if abs(now - int(timestamp)) > WINDOW else None
