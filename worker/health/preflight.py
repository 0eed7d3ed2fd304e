"""The checks before a worker takes its first task."""

import logging
import sys
import time

from config import Settings, SettingsError
from limner.errors import LimnerError, StoreUnavailable
from worker.copies.services import make_fetcher
from worker.copies.storage import StorageError, make_storage
from worker.rescue import Rescue
from worker.services import make_ledger, make_provider

logger = logging.getLogger(__name__)

PATIENCE = 15.0
"""Seconds that a worker waits for Redis at its start. Later it waits without a limit."""
UNKNOWN = (
    "LIMNER_REDIS_URL: its user may not use INFO, so nobody can tell whether this Redis keeps an append-only "
    "file and evicts no keys"
)


def preflight(settings: Settings) -> None:
    """Exit with the name of the setting at fault if the worker cannot work; warn about risks."""
    try:
        accounts = settings.all_accounts()
        if not accounts:
            sys.exit("limner: LIMNER_API_KEY: not set; the worker cannot speak to the provider without it")
        for account in accounts.values():
            make_provider(settings, account).close()
        Rescue(settings.rescue_folder).check()
        facts = _facts(settings)
        if fault := unkept(settings.durability, facts):
            sys.exit(f"limner: LIMNER_DURABILITY: {fault}")
        for risk in risks(facts):
            logger.warning(risk)
    except (LimnerError, SettingsError) as error:
        sys.exit(f"limner: {error}")


def storage_preflight(settings: Settings) -> None:
    """Exit with the name of the setting at fault if a worker cannot store copies.

    A store that is away is only told: jobs need not wait for it.
    """
    try:
        if storage := make_storage(settings):
            make_fetcher(settings)
            storage.check()
    except StorageError as error:
        if not error.away:
            sys.exit(f"limner: {error}")
        logger.warning("%s; copies wait for it", error)


def _facts(settings: Settings) -> dict[str, object]:
    ledger = make_ledger(settings)
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
    """The reason why a Redis with these facts cannot provide that durability, or None.

    Without facts nothing is proven, and each attempt will find out.
    """
    if durability == "server" or not facts:
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
    if not facts:
        return [UNKNOWN]
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
