"""The length of an account's pause after an answer of the provider."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from limner.ledger import Closing
from provider import Cause, Trouble

LONGEST_RETRY_AFTER: Final = 300.0
"""Seconds. The provider sends no Retry-After (contract 1.2). That of a proxy is followed up to this bound."""


@dataclass(frozen=True, slots=True)
class Pauses:
    """The first and the longest pause, in seconds, and the breaker's patience."""

    first: float
    longest: float
    trouble_jobs: int = 3
    """The number of jobs in a row that must meet trouble on the way before their account pauses."""
    keys: Mapping[str, str] = field(default_factory=dict)
    """The names of the keys by account. A pause for a refused key has the key's name."""

    def closing(self, cause: Cause, account: str, retry_after: float | None = None) -> Closing:
        """The pause after a refusal for this cause, which closes the account at once."""
        return Closing(
            cause=cause.value,
            first=self.first,
            longest=self.longest,
            at_least=min(retry_after or 0.0, LONGEST_RETRY_AFTER),
            key=self.keys.get(account) if cause is Cause.UNAUTHORIZED else None,
            # The balance does not show that a key is capped (433).
            credits=cause is Cause.NO_CREDITS,
        )

    def trouble(self, trouble: Trouble, retry_after: float | None = None) -> Closing:
        """The pause after trouble on the way, if enough jobs in a row have met some."""
        return Closing(
            cause=trouble.value,
            first=self.first,
            longest=self.longest,
            at_least=min(retry_after or 0.0, LONGEST_RETRY_AFTER),
            after=self.trouble_jobs,
        )
