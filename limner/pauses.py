"""Why an account is paused, and what ends that."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

BY_HAND: Final = "by_hand"


class EndsBy(StrEnum):
    """What ends a pause."""

    TIME = "time"
    """Its time is over: it was made by hand, with one."""
    PERSON = "person"
    """Somebody resumes the account: it was made by hand, without a time."""
    PROBE = "probe"
    """When its time is over one request is sent, and taken by the provider; else it is twice as long."""
    CREDITS = "credits"
    """When its time is over the provider is asked for the balance, which is enough; then as with a probe."""
    KEY = "key"
    """Workers come with another key, or somebody resumes the account; then as with a probe."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Why nothing of an account is sent. Times are UTC."""

    cause: str
    """``by_hand``, or what the provider said: a value of :class:`provider.Cause`."""
    since: datetime
    until: datetime | None
    """When something is tried; None when that is not a matter of time."""
    ends_by: EndsBy
    message: str
    """What the provider said, or the reason that the person gave."""
    probe: str | None
    """The job that is being sent to see whether the pause is over."""
