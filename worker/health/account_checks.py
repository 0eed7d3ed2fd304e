"""The doctor's checks of the accounts in the ledger: their pauses, and the workers that serve them."""

from collections.abc import Iterator
from datetime import datetime

from config import Settings
from limner.accounts import AccountStatus
from limner.ledger import Ledger
from limner.pauses import Pause
from worker.health.findings import Finding, ok, warn


def check_accounts(settings: Settings, ledger: Ledger) -> Iterator[Finding]:
    """Tell of each pause what ends it, and of each account whether workers ask for its work.

    Raises StoreUnavailable.
    """
    statuses = ledger.accounts.statuses()
    for status in statuses:
        if status.pause:
            told = f"account {status.account} is paused, {_words(status.pause)}"
            yield warn("pauses", told, f"python -m limner resume {status.account} ends the pause")
    if not any(status.pause for status in statuses):
        yield ok("pauses", "none")
    served = {status.account: status for status in statuses}
    for account in settings.all_accounts():
        yield _workers(account, served.get(account))


def _words(pause: Pause) -> str:
    message = f" ({pause.message})" if pause.message else ""
    if pause.probe:
        end = f"and job {pause.probe} is tried now"
    elif pause.until:
        end = f"until it is tried again at {_clock(pause.until)}"
    else:
        end = "until somebody resumes it"
    return f"{pause.cause}{message}, since {_clock(pause.since)}, {end}"


def _workers(account: str, status: AccountStatus | None) -> Finding:
    if status is None or status.claimed_at is None:
        return warn("workers", f"none has asked for work of account {account} yet", "start a worker")
    if status.deserted:
        told = f"none has asked for work of account {account} since {_clock(status.claimed_at)}"
        return warn("workers", told, "start a worker, or see its log")
    return ok("workers", f"account {account} is served")


def _clock(at: datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")
