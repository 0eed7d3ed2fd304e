"""Several accounts at the provider: references to their keys, and their own limits."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints, field_validator

MAIN: Final = "main"
"""The name of the one account of a fleet that has only LIMNER_API_KEY."""

Count = Annotated[int, Field(ge=1, le=1_000_000)]
Seconds = Annotated[float, Field(gt=0, le=10_000_000, allow_inf_nan=False)]
AccountName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]

_REFERENCES: Final = ("env:", "file:")
_QUOTES: Final = frozenset("\"'`")


class AccountOptions(BaseModel):
    """An account of LIMNER_ACCOUNTS. A limit that is left out comes from the setting of the same name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: Annotated[str, Field(repr=False)]
    """The reference to the API key: ``env:VARIABLE``, or ``file:PATH``, relative to the secrets folder."""
    rate_requests: Count | None = None
    rate_seconds: Seconds | None = None
    reads_per_second: Count | None = None
    max_in_flight: Count | None = None

    @field_validator("key")
    @classmethod
    def _reference(cls, key: str) -> str:
        # The message does not show the value: somebody may have put the key itself here.
        if not key.startswith(_REFERENCES) or not key.partition(":")[2]:
            raise ValueError("must say where the key is, as env:VARIABLE or file:PATH, and not be the key")
        return key

    def read_key(self, secrets: Path) -> str:
        """Return the key's text; raises ValueError, which names the variable or file that was tried."""
        kind, _, place = self.key.partition(":")
        if kind == "env":
            text = os.environ.get(place, "")
            if not text.strip():
                raise ValueError(f"the variable {place} is not set")
            return text
        try:
            return (secrets / place).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8"
            raise ValueError(f"{secrets / place} cannot be read ({reason})") from None


@dataclass(frozen=True, slots=True)
class AccountSettings:
    """An account with its limits and its key."""

    api_key: SecretStr
    rate_requests: int
    rate_seconds: float
    reads_per_second: int
    max_in_flight: int


def checked_key(text: str) -> str:
    """Return the key without surrounding space; raises ValueError, without the key, for an unusable one."""
    text = text.strip()
    # Docker's --env-file keeps quotes, unlike a shell.
    if text[:1] in _QUOTES or text[-1:] in _QUOTES:
        raise ValueError("has quotes around it; give the key without them")
    if text.lower().startswith("bearer "):
        raise ValueError("begins with Bearer; give the key alone")
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("must be printable ASCII without spaces")
    return text
