"""The doctor's checks of the ledger's server: on a real one, and on the facts of others."""

import time
from typing import Any

import pytest
import redis
from pydantic import SecretStr

from config import Settings
from limner._redis import connect
from limner.ledger import Ledger, Quota
from tests.integration.worker.health.conftest import MakeSettings
from worker.health.findings import Verdict
from worker.health.store_checks import (
    apart,
    check_clock,
    check_layout,
    check_losses,
    check_server,
    durability,
    version,
)

DURABLE: dict[str, Any] = {
    "aof_enabled": 1,
    "aof_last_write_status": "ok",
    "redis_version": "7.2.4",
    "connected_slaves": 1,
    "maxmemory_policy": "noeviction",
    "role": "master",
}


@pytest.fixture
def settings(make_settings: MakeSettings) -> Settings:
    return make_settings("https://api.kie.ai", api_key=SecretStr("k"))


def test_a_real_server_is_described_without_its_password(settings: Settings, ledger: Ledger) -> None:
    server, *others = check_server(settings, ledger)
    assert server.found.startswith("Valkey ")
    assert " at 127.0.0.1:" in server.found
    password = ledger.store.redis.connection_pool.connection_kwargs["password"]
    assert all(password not in str(finding) for finding in (server, *others))
    [risk] = others
    assert (risk.verdict, risk.found) == (
        Verdict.WARN,
        "LIMNER_REDIS_URL: this Redis keeps no append-only file (appendonly no)",
    )
    assert risk.advice.startswith("when it stops, jobs are lost")


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"redis_version": "7.2.4", "valkey_version": "9.1.2"}, "Valkey 9.1.2"),
        ({"redis_version": "8.0.1"}, "Redis 8.0.1"),
    ],
)
def test_the_make_of_a_server_is_told(facts: dict[str, Any], told: str) -> None:
    assert version(facts) == told


def test_a_durable_server_is_told_with_its_choices() -> None:
    [finding] = durability("disk", DURABLE, "everysec")
    assert finding.verdict is Verdict.OK
    assert finding.found == "append-only file, appendfsync everysec, maxmemory-policy noeviction"
    [finding] = durability("server", DURABLE, None)
    assert "appendfsync is not told" in finding.found


@pytest.mark.parametrize(
    ("facts", "wanted", "fsync", "verdict", "told"),
    [
        ({"maxmemory_policy": "allkeys-lru"}, "server", "always", Verdict.WARN, "evicts keys"),
        ({"aof_last_write_status": "err"}, "server", "always", Verdict.FAIL, "the last write"),
        ({"rdb_last_bgsave_status": "err"}, "server", "always", Verdict.WARN, "the last snapshot failed"),
        ({"role": "slave"}, "server", "always", Verdict.FAIL, "is a replica"),
        ({"connected_slaves": 0}, "replica", "always", Verdict.FAIL, "LIMNER_DURABILITY: replica needs"),
        ({}, "server", "no", Verdict.WARN, "appendfsync no"),
        ({"maxmemory": 100, "used_memory": 95}, "server", "always", Verdict.WARN, "95% of its memory"),
    ],
)
def test_a_risk_is_told_with_what_to_do(
    facts: dict[str, Any], wanted: str, fsync: str, verdict: Verdict, told: str
) -> None:
    [finding] = [
        finding
        for finding in durability(wanted, {**DURABLE, **facts}, fsync)
        if finding.verdict is not Verdict.OK
    ]
    assert finding.verdict is verdict
    assert told in finding.found
    assert finding.advice


def test_the_layout_of_an_empty_ledger_is_not_written(ledger: Ledger) -> None:
    [finding] = check_layout(ledger)
    assert (finding.verdict, finding.found.partition(":")[0]) == (Verdict.OK, "empty")
    assert list(ledger.store.redis.scan_iter()) == []


def test_a_loss_of_data_is_shown_for_a_day(ledger: Ledger) -> None:
    quota = Quota(20, 10.0, 10, 1.0, 100)
    ledger.queue.claim(quota)
    [finding] = check_losses(ledger)
    assert finding.verdict is Verdict.OK
    ledger.store.redis.flushdb()
    ledger.queue.claim(quota)
    [finding] = check_losses(ledger)
    assert finding.verdict is Verdict.WARN
    assert "the ledger was emptied" in finding.found
    ledger.store.redis.hset(f"{ledger.prefix}epoch", "found", round((time.time() - 86_500) * 1000))
    [finding] = check_losses(ledger)
    assert finding.verdict is Verdict.OK


def test_lost_attempts_that_nobody_remembers_are_counted(ledger: Ledger) -> None:
    ledger.queue.claim(Quota(20, 10.0, 10, 1.0, 100))
    facts = {"found": round(time.time() * 1000), "found_as": "rolled_back", "lost": 5, "known": 2}
    ledger.store.redis.hset(f"{ledger.prefix}epoch", mapping=facts)
    [finding] = check_losses(ledger)
    assert "has gone back to an older state" in finding.found
    assert "nobody remembers 3 attempts" in finding.found


def test_the_layout_is_compared(ledger: Ledger) -> None:
    ledger.queue.claim(Quota(20, 10.0, 10, 1.0, 100))
    [finding] = check_layout(ledger)
    assert finding.verdict is Verdict.OK
    ledger.store.redis.set(f"{ledger.prefix}layout", 99)
    [finding] = check_layout(ledger)
    assert finding.verdict is Verdict.FAIL
    assert "the ledger has layout 99" in finding.found


def test_the_clock_of_redis_is_compared(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    [finding] = check_clock(ledger)
    assert finding.verdict is Verdict.OK
    now = time.time
    monkeypatch.setattr("worker.health.store_checks.time.time", lambda: now() - 60)
    [finding] = check_clock(ledger)
    assert finding.verdict is Verdict.WARN
    assert finding.found == "this machine is 60.0 s behind Redis"


@pytest.mark.parametrize(
    ("ahead", "uncertain", "verdict"),
    [(2.0, 0.0, Verdict.OK), (-2.4, 0.5, Verdict.OK), (2.6, 0.5, Verdict.WARN), (-9, 0.5, Verdict.WARN)],
)
def test_a_difference_counts_beyond_what_is_uncertain(
    ahead: float, uncertain: float, verdict: Verdict
) -> None:
    assert apart("Redis", ahead, uncertain).verdict is verdict


def test_a_server_that_hides_its_configuration_is_described_all_the_same(
    settings: Settings, valkey_url: str
) -> None:
    with redis.Redis.from_url(valkey_url) as admin:
        admin.execute_command("ACL", "SETUSER", "limner", "on", ">pw", "~*", "&*", "+@all", "-config")
        try:
            address = valkey_url.rpartition("@")[2]
            with connect(f"redis://limner:pw@{address}") as client:
                server, _ = check_server(settings, Ledger(client))
        finally:
            admin.execute_command("ACL", "DELUSER", "limner")
    assert server.verdict is Verdict.OK
