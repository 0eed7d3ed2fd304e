"""The length of an account's pause after a refusal by the provider."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from limner.ledger import Closing
from provider import Cause

LONGEST_RETRY_AFTER: Final = 300.0
"""Seconds. The provider sends no Retry-After (contract 1.2). That of a proxy is followed up to this bound."""


@dataclass(frozen=True, slots=True)
class Pauses:
    """The first and the longest pause in seconds: ``short`` after a 429, ``long`` after any other cause."""

    short: tuple[float, float]
    long: tuple[float, float]
    keys: Mapping[str, str] = field(default_factory=dict)
    """The names of the keys by account. A pause for a refused key has the key's name."""

    def closing(self, cause: Cause, account: str, retry_after: float | None = None) -> Closing:
        """The cause and the length of the account's pause."""
        first, longest = self.short if cause is Cause.RATE_LIMITED else self.long
        return Closing(
            cause=cause.value,
            first=first,
            longest=longest,
            at_least=min(retry_after or 0.0, LONGEST_RETRY_AFTER),
            key=self.keys.get(account) if cause is Cause.UNAUTHORIZED else None,
            # The balance does not show that a key is capped (433).
            credits=cause is Cause.NO_CREDITS,
        )
