"""The doctor's checks of the provider: the way to it, each key with its balance, and the clock."""

import time
from collections.abc import Iterator
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Final

import httpx

from config import Settings
from worker.health.accounts import by_fault, named
from worker.health.balances import read_balances
from worker.health.findings import Finding, Verdict, ok, warn
from worker.health.store_checks import apart

PATIENCE: Final = 5.0


def check_provider(settings: Settings) -> Iterator[Finding]:
    """Read each account's balance, which is free."""
    balances = read_balances(settings)
    faults = list(by_fault(balances))
    for fault, accounts in faults:
        verdict = Verdict.FAIL if fault.cause else Verdict.WARN
        found = f"{fault.setting}: {fault.found} ({named(accounts)})"
        yield Finding("provider", verdict, found, fault.advice)
    for account, balance in balances.items():
        if isinstance(balance, Decimal):
            told = f"{settings.api_url} takes the key of account {account}, which has {balance} credits left"
            yield ok("provider", told) if balance > 0 else warn("provider", told, "top up")
    for account in settings.all_accounts().keys() - balances.keys():
        yield warn("provider", f"account {account} was not asked in time", "try again")


def check_provider_clock(api_url: str) -> Iterator[Finding]:
    """Compare this machine's clock with the Date of any answer. An answer without one yields no finding."""
    before = time.time()
    try:
        date = httpx.get(api_url, timeout=PATIENCE).headers.get("date", "")
        # The header counts whole seconds.
        provider = parsedate_to_datetime(date).timestamp() + 0.5
    except (httpx.HTTPError, httpx.InvalidURL, ValueError):
        return
    after = time.time()
    yield apart("the provider", (before + after) / 2 - provider, (after - before) / 2 + 0.5)
