"""``limner.check_credits``: read the balance of an account that is paused for lack of credits."""

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
    """Read the balance and record it. If no answer comes, it is read again later."""
    try:
        balance = services.providers[account].credits()
    except (KeyError, ProviderError) as error:
        logger.warning("account %s stays paused: %s", account, error)
        return
    logger.info("account %s has %s credits left", account, balance)
    services.ledger.accounts.credits_seen(
        account, lease, balance, longest=services.settings.pause_max_seconds
    )
