"""Pauses of accounts: their causes, and their ends."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

BY_HAND: Final = "by_hand"


class EndsBy(StrEnum):
    """The condition that ends a pause."""

    TIME = "time"
    """It expires: it was made by hand, with a time."""
    PERSON = "person"
    """Somebody resumes the account: it was made by hand, without a time."""
    PROBE = "probe"
    """At its end one request is sent. If the provider refuses it, the pause continues for twice the time."""
    CREDITS = "credits"
    """At its end the balance is read, which is free. If it is enough, one request is sent. Otherwise the
    pause continues for twice the time; at its longest, one request is sent whatever the balance is."""
    KEY = "key"
    """The same, for a refused key: a balance shows that it is good. Another key is tried at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """The pause of an account. No request is sent while it lasts. Times are UTC."""

    cause: str
    """``by_hand``, or what the provider said: a value of :class:`provider.Cause`."""
    since: datetime
    until: datetime | None
    """The time of the next try; None if that is not a matter of time."""
    ends_by: EndsBy
    message: str
    """The provider's message, or the reason that the person gave."""
    answers: tuple[str, ...] = ()
    """The last answers that led to it, the oldest first."""
    probe: str | None
    """The job that is being sent to test if the pause can end."""
