"""Closing an account and opening it again, when no job has anything to do with it."""

from decimal import Decimal

from limner.scripts import Scripts, to_micro, to_ms


class Pausing(Scripts):
    """By a person's hand, and by the provider's word on its balance."""

    def pause(self, account: str, *, seconds: float | None = None, reason: str = "") -> None:
        """Send nothing of that account for so many seconds, or until somebody resumes it."""
        length = None if seconds is None else to_ms(seconds)
        self._run("pause", account=account, length=length, reason=reason)

    def resume(self, account: str) -> bool:
        """End the account's pause; False if there is none.

        After a pause by hand all goes on; after another one, as soon as one request was taken.
        """
        return bool(self._run("resume", account=account))

    def credits_seen(self, account: str, lease: int, balance: Decimal, *, longest: float) -> bool:
        """What the provider says that the account has left, whose pause is for want of credits.

        If that is not enough, the pause goes on, twice as long, for ``longest`` seconds at most.
        """
        return bool(
            self._run("resume", account=account, lease=lease, credits=to_micro(balance), cap=to_ms(longest))
        )
