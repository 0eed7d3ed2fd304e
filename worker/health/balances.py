"""The balances of all accounts, read side by side.

Reading one is free. It checks the URL, the way to the provider, and the key.
"""

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from decimal import Decimal
from typing import Final

from config import AccountSettings, Settings
from provider import KieClient, ProviderError, Timeouts
from provider.endpoint import proxy_variable
from worker.health.faults import Fault, Way, fault_of, overdue

SECONDS: Final = 10.0
"""The time for all accounts. A good answer takes 0.3 s (contract 1.2)."""
_EACH: Final = Timeouts(connect=5.0, read=8.0, write=5.0, total=8.0)
_AT_ONCE: Final = 32


def read_balances(settings: Settings, within: float = SECONDS) -> Mapping[str, Decimal | Fault]:
    """The balance of each account, or the fault that was met.

    An account whose turn did not come within that many seconds is left out.
    """
    accounts = settings.all_accounts()
    pool = ThreadPoolExecutor(_AT_ONCE, "limner-balance")
    asked = {name: pool.submit(_balance, settings, name, account) for name, account in accounts.items()}
    wait(asked.values(), timeout=within)
    # The look-up of a host's name has no time-out of its own, so a thread may take longer.
    pool.shutdown(wait=False, cancel_futures=True)
    return {
        name: _answer(settings, name, future, within)
        for name, future in asked.items()
        if not future.cancelled()
    }


def _answer(
    settings: Settings, account: str, future: "Future[Decimal | Fault]", within: float
) -> Decimal | Fault:
    return future.result() if future.done() else overdue(_way(settings, account), within)


def _balance(settings: Settings, name: str, account: AccountSettings) -> Decimal | Fault:
    with KieClient(settings.api_url, account.api_key, _EACH) as client:
        try:
            return client.credits()
        except ProviderError as error:
            return fault_of(error.answer, error.location, _way(settings, name))


def _way(settings: Settings, account: str) -> Way:
    key = f"LIMNER_ACCOUNTS: {account}" if settings.accounts else "LIMNER_API_KEY"
    return Way(settings.api_url, key, proxy_variable(settings.api_url))
