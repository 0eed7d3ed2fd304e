"""The doctor's check of memory: on a real server, and on the facts of others."""

from typing import Any

import pytest
import redis
from pydantic import SecretStr

from config import Settings
from limner import Limner
from limner._redis import connect
from limner.ledger import Ledger
from sandbox.local.fleet import LocalFleet
from tests.integration.fleet.conftest import ROOMY, quick_provider
from tests.integration.worker.health.conftest import MakeSettings
from worker.health.findings import Finding, Verdict
from worker.health.memory_checks import KEPT_JOB, check_memory, jobs_kept, memory, size

GB = 10**9
FACTS: dict[str, Any] = {
    "used_memory": 10**8,
    "maxmemory": 2 * GB,
    "maxmemory_policy": "noeviction",
    "total_system_memory": 8 * GB,
    "db0": {"keys": 4000, "expires": 10},
}
JOBS = 30


@pytest.fixture
def settings(make_settings: MakeSettings) -> Settings:
    return make_settings("https://api.kie.ai", api_key=SecretStr("k"))


def told(facts: dict[str, Any], kept: int = 172_800) -> list[Finding]:
    return list(memory({**FACTS, **facts}, kept=kept, seconds=86_400.0))


def test_a_server_with_room_is_told_in_jobs() -> None:
    [finding] = told({})
    assert finding.verdict is Verdict.OK
    assert finding.found == (
        "100 MB of 2.0 GB in use, room for about 380,000 more jobs; maxmemory-policy noeviction"
    )


@pytest.mark.parametrize(
    ("facts", "kept", "found", "advice"),
    [
        ({"maxmemory": 0}, 172_800, "100 MB in use, and no maxmemory", "a container is killed"),
        (
            {"total_system_memory": 3 * GB},
            172_800,
            "maxmemory is 2.0 GB, and its machine has 3.0 GB",
            "less than half",
        ),
        (
            {"maxmemory": 4 * 10**8},
            172_800,
            "room for about 60,000 more jobs; LIMNER_RESULT_TTL_SECONDS and the rate let 172,800 be kept",
            "raise maxmemory to 959 MB, or keep results for less than 86400 s",
        ),
        ({"used_memory": 3 * GB}, 700_000, "room for about 0 more jobs", "raise maxmemory to"),
    ],
)
def test_a_server_without_enough_room_is_a_warning(
    facts: dict[str, Any], kept: int, found: str, advice: str
) -> None:
    [finding] = [each for each in told(facts, kept) if each.verdict is Verdict.WARN]
    assert found in finding.found
    assert advice in finding.advice


@pytest.mark.parametrize(
    ("facts", "verdict"),
    [
        # The memory in use is that of the 172,800 jobs themselves.
        ({"used_memory": 172_800 * KEPT_JOB, "db0": {"keys": 4 * 172_800}}, Verdict.OK),
        # It belongs to somebody else: to a few large keys, or to many small ones.
        ({"used_memory": 172_800 * KEPT_JOB, "db0": {"keys": 10}}, Verdict.WARN),
        ({"used_memory": 10**6, "maxmemory": 8 * 10**8, "db0": {"keys": 10**7}}, Verdict.WARN),
        # All databases count.
        ({"used_memory": 172_800 * KEPT_JOB, "db0": {"keys": 10}, "db1": {"keys": 700_000}}, Verdict.OK),
    ],
)
def test_the_jobs_that_are_kept_already_need_no_room(facts: dict[str, Any], verdict: Verdict) -> None:
    [finding] = told({"maxmemory": 950 * 10**6, **facts})
    assert finding.verdict is verdict


def test_the_jobs_that_are_kept_are_those_of_all_accounts(make_settings: MakeSettings) -> None:
    one = make_settings("https://api.kie.ai")
    assert jobs_kept(one) == 172_800
    assert jobs_kept(make_settings("https://api.kie.ai", result_ttl_seconds=3600, rate_requests=10)) == 3600


def test_accounts_with_limits_of_their_own_count_with_them(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NORTH", "key-of-north")
    accounts = {"north": {"key": "env:NORTH", "rate_requests": 40}, "south": {"key": "env:SOUTH"}}
    settings = make_settings("https://api.kie.ai", accounts=accounts)
    # The key of south cannot be read, so the account's limits are those of the settings.
    assert jobs_kept(settings) == 172_800
    monkeypatch.setenv("SOUTH", "key-of-south")
    assert jobs_kept(settings) == 6 * 86_400


def test_a_real_server_without_a_limit_is_told(settings: Settings, ledger: Ledger) -> None:
    [finding] = check_memory(settings, ledger)
    assert finding.verdict is Verdict.WARN
    assert "and no maxmemory" in finding.found


def test_a_real_server_with_a_limit_is_told(settings: Settings, ledger: Ledger) -> None:
    # The session shares this server, so the limit is far away.
    ledger.store.redis.config_set("maxmemory", 10 * GB)
    try:
        findings = list(check_memory(settings, ledger))
    finally:
        ledger.store.redis.config_set("maxmemory", 0)
    assert "of 10.0 GB in use, room for about 1,9" in str(findings)
    assert "maxmemory-policy noeviction" in str(findings)


@pytest.mark.parametrize(
    ("forbidden", "allowed"), [(["-info", "-config"], False), (["-config"], True), (["-info"], False)]
)
def test_a_server_that_hides_its_memory_is_no_failure(
    settings: Settings, valkey_url: str, forbidden: list[str], allowed: bool
) -> None:
    with redis.Redis.from_url(valkey_url) as admin:
        admin.execute_command("ACL", "SETUSER", "blind", "on", ">pw", "~*", "&*", "+@all", *forbidden)
        try:
            with connect(f"redis://blind:pw@{valkey_url.rpartition('@')[2]}") as client:
                [finding] = check_memory(settings, Ledger(client))
        finally:
            admin.execute_command("ACL", "DELUSER", "blind")
    assert finding.verdict is Verdict.WARN
    assert ("is not allowed to see" in finding.found) is not allowed


def test_a_kept_job_takes_as_much_as_the_doctor_assumes() -> None:
    with (
        LocalFleet(settings=ROOMY, provider=quick_provider()) as fleet,
        Limner(fleet.redis_url) as producer,
        redis.Redis.from_url(fleet.redis_url) as client,
    ):
        jobs = producer.submit_many(f"boat {number} in the harbour at sunrise" for number in range(JOBS))
        for job in jobs:
            job.result(timeout=60)
        keys = [key for job in jobs for key in client.scan_iter(match=f"*{job.id}*", count=10_000)]
        keys.append(f"{Ledger(client).prefix}events".encode())
        each = sum(client.memory_usage(key, samples=0) for key in keys) / JOBS
    assert 0.6 * KEPT_JOB < each < KEPT_JOB


@pytest.mark.parametrize(("count", "text"), [(0, "0 MB"), (864e6, "864 MB"), (1.5e9, "1.5 GB")])
def test_a_size_is_told_in_a_few_digits(count: float, text: str) -> None:
    assert size(count) == text
