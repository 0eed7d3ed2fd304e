"""The reasons for refusing a callback before the ledger is asked."""

from enum import StrEnum


class Refusal(StrEnum):
    """A reason that the receiver counts itself; the ledger counts the outcomes of all other callbacks."""

    MALFORMED = "malformed"
    """Its path or body cannot be a callback of the provider, or its body broke off."""
    BAD_SIGNATURE = "bad_signature"
    """A key is set, and the signature is missing or wrong."""
    STALE = "stale"
    """The signature is right and was made too long ago, or in the future."""
    OVERSIZED = "oversized"
    """Its body is longer than any callback's."""
    SLOW = "slow"
    """Its body did not arrive in time."""
