"""The server of the ledger: its version, its durability, its clock, and the layout of the ledger in it."""

import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import redis

from config import Settings
from limner._redis import address, store_errors
from limner.errors import RecordUnreadable
from limner.ledger import Ledger
from worker.health.findings import Finding, fail, ok, warn
from worker.health.preflight import risks, unkept

MOST_APART: Final = 2.0
"""Seconds between two clocks that nobody needs to know of."""
NEARLY_FULL: Final = 0.9
SHOWN: Final = timedelta(days=1)
"""The time for which a loss of data is shown."""


def check_server(settings: Settings, ledger: Ledger) -> Iterator[Finding]:
    """The server, and whether it keeps what is written to it. Raises StoreUnavailable."""
    facts = ledger.server_info()
    client = ledger.store.redis
    yield ok("redis", f"{version(facts)} at {address(client)}")
    try:
        fsync = client.config_get("appendfsync").get("appendfsync")
    except redis.ResponseError:
        # Servers that somebody else runs often forbid CONFIG.
        fsync = None
    yield from durability(settings.durability, facts, fsync)


def version(facts: Mapping[str, Any]) -> str:
    """The name and the version of a server with these facts (its INFO)."""
    if valkey := facts.get("valkey_version"):
        return f"Valkey {valkey}"
    return f"Redis {facts.get('redis_version', 'of an unknown version')}"


def durability(wanted: str, facts: Mapping[str, Any], fsync: str | None) -> Iterator[Finding]:
    """The risks of a server with these facts, with that ``appendfsync`` (None if it is not told)."""
    at_risk = risks(dict(facts))
    if not facts:
        yield warn("redis", at_risk[0], "ask whoever runs it")
        return
    for risk in at_risk:
        found, _, consequence = risk.partition(": ")[2].partition(": ")
        yield warn("redis", f"LIMNER_REDIS_URL: {found}", consequence)
    if fault := unkept(wanted, dict(facts)):
        yield fail("redis", f"LIMNER_DURABILITY: {fault}", "change the server, or the setting")
    if facts.get("role") == "slave":
        yield fail("redis", "LIMNER_REDIS_URL: this server is a replica", "name its master")
    if facts.get("aof_enabled") and facts.get("aof_last_write_status", "ok") != "ok":
        yield fail(
            "redis",
            "LIMNER_REDIS_URL: the last write of the append-only file failed",
            "look at its log and its disk: it refuses writes until one succeeds",
        )
    if facts.get("rdb_last_bgsave_status", "ok") != "ok":
        advice = "look at its log and its disk: it may refuse writes"
        yield warn("redis", "LIMNER_REDIS_URL: the last snapshot failed", advice)
    if fsync == "no" and facts.get("aof_enabled"):
        yield warn(
            "redis",
            "LIMNER_REDIS_URL: appendfsync no: a crash of its machine forgets half a minute",
            "set appendfsync everysec or always",
        )
    used, most = int(facts.get("used_memory", 0)), int(facts.get("maxmemory", 0))
    if most and used > NEARLY_FULL * most:
        advice = "raise maxmemory: a full server refuses new jobs"
        yield warn("redis", f"LIMNER_REDIS_URL: {used / most:.0%} of its memory is in use", advice)
    if not at_risk:
        told = f"appendfsync {fsync}" if fsync else "appendfsync is not told"
        yield ok("redis", f"append-only file, {told}, maxmemory-policy noeviction")


def check_layout(ledger: Ledger) -> Iterator[Finding]:
    """The version of the ledger's layout. Raises StoreUnavailable."""
    if ledger.is_new():
        # A question for the layout would write the one of this version.
        yield ok("ledger", "empty: nobody has used it yet")
        return
    try:
        ledger.check_layout()
    except RecordUnreadable as error:
        # Its text says what to do.
        yield fail("ledger", str(error))
    else:
        yield ok("ledger", "its layout is the one of this version")


def check_losses(ledger: Ledger) -> Iterator[Finding]:
    """The losses of the ledger's data within the last day. Raises StoreUnavailable."""
    loss = ledger.losses.last()
    if loss is None or datetime.now(UTC) - loss.at > SHOWN:
        yield ok("losses", "no loss of the ledger's data was found within a day")
        return
    what = "was emptied" if loss.what == "emptied" else "has gone back to an older state"
    told = f"the ledger {what}, as was found at {loss.at:%Y-%m-%d %H:%M} UTC"
    if loss.unexplained:
        told += f"; nobody remembers {loss.unexplained} attempts that are lost with it"
    yield warn("losses", told, "look at `python -m limner doubts` and `callbacks`; see docs/operations.md")


def check_clock(ledger: Ledger) -> Iterator[Finding]:
    """The difference between the clocks of this machine and of Redis. Raises StoreUnavailable."""
    client = ledger.store.redis
    before = time.time()
    with store_errors(client):
        seconds, microseconds = client.time()
    after = time.time()
    yield apart("Redis", (before + after) / 2 - (seconds + microseconds / 1e6), (after - before) / 2)


def apart(other: str, ahead: float, uncertain: float) -> Finding:
    """The finding about a clock of which this machine is ``ahead`` by some seconds, give or take others."""
    if abs(ahead) <= MOST_APART + uncertain:
        return ok("clock", f"this machine and {other} agree")
    told = f"{abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'}"
    return warn("clock", f"this machine is {told} {other}", "synchronise both clocks, as with NTP")
