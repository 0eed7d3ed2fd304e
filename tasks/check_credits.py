"""``limner.check_credits``: read the balance of a paused account, which is free.

A balance shows that a refused key is good, and that credits have come. It proves nothing about generation
(contract 1.4), so it only lets a probe be sent.
"""

import logging
from typing import Any

from provider import ProviderError
from tasks.step import step
from worker.services import Services

logger = logging.getLogger(__name__)


@step("limner.check_credits")
def check_credits(services: Services, _message: Any, /, account: str, lease: int) -> None:
    """Check the account's balance once."""
    check(services, account, lease)


def check(services: Services, account: str, lease: int) -> None:
    """Read the balance and record it, or that it could not be read."""
    longest = services.settings.pause_max_seconds
    if account not in services.providers:
        logger.warning("account %s stays paused: this worker has no key of it (LIMNER_ACCOUNTS)", account)
        return
    try:
        balance = services.providers[account].credits()
    except ProviderError as error:
        logger.warning("account %s stays paused: %s", account, error)
        services.ledger.accounts.balance_read(account, lease, None, longest=longest, error=str(error)[:200])
        return
    logger.info("account %s has %s credits left", account, balance)
    services.ledger.accounts.balance_read(account, lease, balance, longest=longest)
