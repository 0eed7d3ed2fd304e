"""The checks before a worker takes its first task."""

import logging
import sys
import time
from collections.abc import Iterable, Mapping
from decimal import Decimal

from config import Settings, SettingsError
from limner.errors import LimnerError, StoreUnavailable
from limner.ledger import Closing, Ledger
from worker.health.balances import read_balances
from worker.health.faults import UNAUTHORIZED, Fault
from worker.limits.quota import key_name
from worker.services import make_ledger, make_provider

logger = logging.getLogger(__name__)

PATIENCE = 15.0
"""Seconds that a worker waits for Redis at its start. Later it waits without a limit."""


def preflight(settings: Settings) -> None:
    """Exit with the name of the setting at fault if the worker cannot work; warn about risks.

    A provider that does not answer keeps no worker from starting: the account is closed until it does.
    """
    try:
        accounts = settings.all_accounts()
        if not accounts:
            sys.exit("limner: LIMNER_API_KEY: not set; the worker cannot speak to the provider without it")
        for account in accounts.values():
            make_provider(settings, account).close()
        ledger = make_ledger(settings)
        facts = _facts(ledger)
        if fault := unkept(settings.durability, facts):
            sys.exit(f"limner: LIMNER_DURABILITY: {fault}")
        for risk in risks(facts):
            logger.warning(risk)
        close_at_fault(settings, ledger, read_balances(settings))
    except (LimnerError, SettingsError) as error:
        sys.exit(f"limner: {error}")


def close_at_fault(settings: Settings, ledger: Ledger, balances: Mapping[str, Decimal | Fault]) -> None:
    """Close each account whose balance shows a fault of the way or the key, and log each fault once."""
    for account, balance in balances.items():
        if isinstance(balance, Decimal):
            logger.info("account %s has %s credits left", account, balance)
    for fault, accounts in _by_fault(balances):
        if fault.cause is None:
            logger.warning("%s (%s)", fault, _named(accounts))
        else:
            _close(settings, ledger, accounts, fault)
            logger.error("%s (%s: closed, %s; opens by itself)", fault, _named(accounts), fault.cause)


def _by_fault(balances: Mapping[str, Decimal | Fault]) -> Iterable[tuple[Fault, list[str]]]:
    # Accounts share the way to the provider: they mostly meet the same fault.
    found: dict[Fault, list[str]] = {}
    for account, balance in balances.items():
        if isinstance(balance, Fault):
            found.setdefault(balance, []).append(account)
    return found.items()


def _named(accounts: list[str]) -> str:
    return f"account{'s' if len(accounts) > 1 else ''} {', '.join(accounts)}"


def _close(settings: Settings, ledger: Ledger, accounts: list[str], fault: Fault) -> None:
    keys = settings.all_accounts()
    for account in accounts:
        closing = Closing(
            cause=str(fault.cause),
            first=settings.pause_seconds,
            longest=settings.pause_max_seconds,
            key=key_name(keys[account].api_key.get_secret_value()) if fault.cause == UNAUTHORIZED else None,
        )
        try:
            ledger.accounts.close(account, closing, fault.error())
        except StoreUnavailable as error:
            logger.warning("account %s is not closed: %s", account, error)


def _facts(ledger: Ledger) -> dict[str, object]:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            ledger.check_layout()
            return ledger.server_info()
        except StoreUnavailable as error:
            if time.monotonic() >= deadline:
                raise
            logger.warning("%s; waiting for it", error)
            time.sleep(1.0)


def unkept(durability: str, facts: dict[str, object]) -> str | None:
    """The reason why a Redis with these facts cannot provide that durability, or None."""
    if durability == "server":
        return None
    if not facts.get("aof_enabled"):
        return f"{durability} needs a Redis with an append-only file (appendonly yes)"
    # Valkey reports itself as Redis 7.2.4.
    version = tuple(int(part) for part in str(facts.get("redis_version", "0")).split(".")[:2])
    if version < (7, 2):
        return f"{durability} needs WAITAOF, which this server ({facts.get('redis_version')}) does not have"
    if durability == "replica" and not facts.get("connected_slaves"):
        return "replica needs a connected replica, and this server has none"
    return None


def risks(facts: dict[str, object]) -> list[str]:
    """The risks of a Redis with these facts (its INFO), one sentence each."""
    found = []
    if not facts.get("aof_enabled"):
        found.append(
            "LIMNER_REDIS_URL: this Redis keeps no append-only file (appendonly no): when it stops, jobs are "
            "lost and images that are already paid for are bought again"
        )
    policy = str(facts.get("maxmemory_policy", "noeviction"))
    if policy != "noeviction":
        found.append(
            f"LIMNER_REDIS_URL: this Redis evicts keys when its memory is full (maxmemory-policy {policy}): "
            "jobs would vanish; set it to noeviction"
        )
    return found
