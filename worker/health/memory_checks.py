"""The memory of the ledger's server, and the number of jobs that it has room for."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

import redis

from config import Settings, SettingsError
from limner._redis import store_errors
from limner.ledger import Ledger
from worker.health.findings import Finding, ok, warn

CHECK: Final = "memory"
KEPT_JOB: Final = 5_000
"""Bytes of a job that has ended, with its log, its result and its events, for a prompt of a line and without
metadata (``python -m bench memory``, rounded up). Longer texts come on top."""
KEYS_OF_A_JOB: Final = 4
"""The record, the log, the provider's task and Celery's result."""
HALF: Final = 0.5
"""The share of a machine's memory that its server may use. While it rewrites its append-only file, it may
need every page twice."""


def check_memory(settings: Settings, ledger: Ledger) -> Iterator[Finding]:
    """The memory in use and its limit, and whether the settings fit in. Raises StoreUnavailable."""
    client = ledger.store.redis
    with store_errors(client):
        facts = _facts(client)
    yield from memory(facts, kept=jobs_kept(settings), seconds=settings.result_ttl_seconds)


def _facts(client: Any) -> dict[str, Any]:
    # Servers that somebody else runs often forbid either command, or leave lines out.
    facts: dict[str, Any] = {}
    with suppress(redis.ResponseError):
        facts = dict(client.info())
    if "maxmemory" not in facts:
        with suppress(redis.ResponseError):
            facts |= client.config_get("maxmemory*")
    return facts


def jobs_kept(settings: Settings) -> int:
    """The most jobs that end within the time for which a result is kept, at the rate of all accounts."""
    try:
        accounts = list(settings.all_accounts().values())
    except SettingsError:
        accounts = []
    rate = sum(each.rate_requests / each.rate_seconds for each in accounts)
    return round((rate or settings.rate_requests / settings.rate_seconds) * settings.result_ttl_seconds)


def memory(facts: Mapping[str, Any], *, kept: int, seconds: float) -> Iterator[Finding]:
    """The findings about a server with these facts (its INFO) that keeps so many jobs for ``seconds``."""
    if "used_memory" not in facts or "maxmemory" not in facts:
        yield warn(
            CHECK,
            "LIMNER_REDIS_URL: its user is not allowed to see the server's memory (INFO, CONFIG GET)",
            f"ask whoever runs it: {kept:,} jobs may be kept, which take {size(kept * KEPT_JOB)}",
        )
        return
    used, most = int(facts["used_memory"]), int(facts["maxmemory"])
    if not most:
        yield warn(
            CHECK,
            f"LIMNER_REDIS_URL: {size(used)} in use, and no maxmemory",
            "set it to less than half of what its machine or container has: a server that outgrows a "
            "container is killed, and one that reaches maxmemory refuses new jobs",
        )
        return
    machine = int(facts.get("total_system_memory", 0))
    if machine and most > HALF * machine:
        yield warn(
            CHECK,
            f"LIMNER_REDIS_URL: maxmemory is {size(most)}, and its machine has {size(machine)}",
            "set it to less than half: a rewrite of the append-only file may need every page twice",
        )
    room = max(0, most - used) // KEPT_JOB
    told = f"{size(used)} of {size(most)} in use, room for about {room:,} more jobs"
    if (fits := room + _jobs(facts, used)) < kept:
        enough = used + (kept - fits + room) * KEPT_JOB
        yield warn(
            CHECK,
            f"LIMNER_REDIS_URL: {told}; LIMNER_RESULT_TTL_SECONDS and the rate let {kept:,} be kept",
            f"raise maxmemory to {size(enough)}, or keep results for less than {seconds:g} s",
        )
    else:
        policy = facts.get("maxmemory_policy", facts.get("maxmemory-policy", "not told"))
        yield ok(CHECK, f"{told}; maxmemory-policy {policy}")


def _jobs(facts: Mapping[str, Any], used: int) -> int:
    """The most jobs that the memory in use can belong to, on a server that others may use as well."""
    keys = sum(int(each["keys"]) for each in facts.values() if isinstance(each, dict) and "keys" in each)
    return min(keys // KEYS_OF_A_JOB, used // KEPT_JOB)


def size(count: float) -> str:
    """A number of bytes as text: 864 MB."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
