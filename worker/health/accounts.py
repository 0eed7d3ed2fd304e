"""The check of the accounts before a worker takes its first task."""

import logging
from collections.abc import Iterable, Mapping
from decimal import Decimal

from config import Settings
from limner.errors import StoreUnavailable
from limner.ledger import Closing, Ledger
from worker.health.balances import read_balances
from worker.health.faults import UNAUTHORIZED, Fault
from worker.limits.quota import key_name
from worker.services import make_ledger

logger = logging.getLogger(__name__)


def check_accounts(settings: Settings) -> None:
    """Read each account's balance once. An account that meets a fault starts closed.

    A provider that is away keeps no worker from starting, so this raises nothing and exits never.
    """
    balances = read_balances(settings)
    for account, balance in balances.items():
        if isinstance(balance, Decimal):
            logger.info("account %s has %s credits left", account, balance)
    ledger = make_ledger(settings)
    for fault, accounts in by_fault(balances):
        if fault.cause is None:
            logger.warning("%s (%s)", fault, named(accounts))
            continue
        for account in accounts:
            _close(ledger, account, fault, settings)
        logger.error("%s (%s: closed, %s; opens by itself)", fault, named(accounts), fault.cause)


def by_fault(balances: Mapping[str, Decimal | Fault]) -> Iterable[tuple[Fault, list[str]]]:
    """Each fault with the accounts that met it, which mostly share the way to the provider."""
    found: dict[Fault, list[str]] = {}
    for account, balance in balances.items():
        if isinstance(balance, Fault):
            found.setdefault(balance, []).append(account)
    return found.items()


def named(accounts: list[str]) -> str:
    """The accounts in words."""
    return f"account{'s' if len(accounts) > 1 else ''} {', '.join(accounts)}"


def _close(ledger: Ledger, account: str, fault: Fault, settings: Settings) -> None:
    key = settings.all_accounts()[account].api_key.get_secret_value()
    closing = Closing(
        cause=str(fault.cause),
        first=settings.pause_seconds,
        longest=settings.pause_max_seconds,
        key=key_name(key) if fault.cause == UNAUTHORIZED else None,
    )
    try:
        ledger.accounts.close(account, closing, fault.error())
    except StoreUnavailable as error:
        logger.warning("account %s is not closed: %s", account, error)
