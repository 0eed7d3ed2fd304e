"""For how long an account is closed, by what the provider has said."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from limner.ledger import Closing
from provider import Cause

LONGEST_RETRY_AFTER: Final = 300.0
"""Seconds. The provider names no time (contract 1.2); a proxy's that does is heeded up to here."""


@dataclass(frozen=True, slots=True)
class Pauses:
    """The first and the longest pause, in seconds: after a 429, and after all that lasts longer."""

    short: tuple[float, float]
    long: tuple[float, float]
    keys: Mapping[str, str] = field(default_factory=dict)
    """The names of the accounts' keys, for those that the provider refuses."""

    def closing(self, cause: Cause, account: str, retry_after: float | None = None) -> Closing:
        """Why and for how long the account rests."""
        first, longest = self.short if cause is Cause.RATE_LIMITED else self.long
        return Closing(
            cause=cause.value,
            first=first,
            longest=longest,
            at_least=min(retry_after or 0.0, LONGEST_RETRY_AFTER),
            key=self.keys.get(account) if cause is Cause.UNAUTHORIZED else None,
            # A capped key (433) says nothing of itself in the balance.
            credits=cause is Cause.NO_CREDITS,
        )
