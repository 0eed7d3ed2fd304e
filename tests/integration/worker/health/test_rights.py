"""A Redis user's rights, on a real server with users of its own."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from limner._redis import connect
from limner.errors import StoreUnavailable
from limner.ledger import Ledger
from tests.repository import ROOT
from worker.health.findings import Finding, Verdict
from worker.health.rights import TRIED, check_rights

ALL = "~limner:{main}:* &limner:{main}:* +@all"


@pytest.fixture
def admin(valkey_url: str) -> Iterator[Any]:
    with redis.Redis.from_url(valkey_url) as client:
        yield client
        client.execute_command("ACL", "DELUSER", "limner")


def check(admin: Any, url: str, rules: str, *, waits: bool = False) -> list[Finding]:
    admin.execute_command("ACL", "SETUSER", "limner", "reset", "on", ">pw", *rules.split())
    with connect(re.sub(r"//[^@/]*@?(?=[\w.]+:)", "//limner:pw@", url)) as client:
        return list(check_rights(Ledger(client), waits=waits))


def test_a_user_with_all_rights_can_work_and_nothing_is_left(admin: Any, valkey_url: str) -> None:
    [finding] = check(admin, valkey_url, ALL)
    assert finding.verdict is Verdict.OK
    assert list(admin.scan_iter()) == []


@pytest.mark.parametrize(
    ("rules", "denied"),
    [
        (f"{ALL} -zadd", "ZADD"),
        (f"{ALL} -zrem -hset", "HSET, ZREM"),
        (f"{ALL} -evalsha", "EVALSHA"),
        (f"{ALL} -script", "SCRIPT"),
        (f"{ALL} -blpop", "BLPOP"),
    ],
)
def test_what_a_user_may_not_do_is_named(admin: Any, valkey_url: str, rules: str, denied: str) -> None:
    [finding] = check(admin, valkey_url, rules)
    assert finding.verdict is Verdict.FAIL
    assert finding.found == f"LIMNER_REDIS_URL: its user may not use {denied}"
    assert "~limner:{main}:* &limner:{main}:*" in finding.advice
    assert list(admin.scan_iter()) == []


@pytest.mark.parametrize(
    ("rules", "denied"),
    [
        (f"{ALL} -publish", "PUBLISH"),
        (f"{ALL} -info -xadd", "INFO, XADD"),
        ("~limner:{main}:* +@all resetchannels &other", "PUBLISH, SUBSCRIBE"),
    ],
)
def test_what_a_user_can_do_without_is_only_told(
    admin: Any, valkey_url: str, rules: str, denied: str
) -> None:
    [finding] = check(admin, valkey_url, rules)
    assert finding.verdict is Verdict.WARN
    assert finding.found == f"LIMNER_REDIS_URL: its user may not use {denied}"


def test_a_user_of_other_keys_can_do_nothing(admin: Any, valkey_url: str) -> None:
    [finding] = check(admin, valkey_url, "~other:* &* +@all")
    assert finding.verdict is Verdict.FAIL
    assert "EVALSHA" in finding.found
    assert "ZADD" in finding.found


@pytest.mark.parametrize(("waits", "verdict"), [(False, Verdict.OK), (True, Verdict.FAIL)])
def test_waiting_for_the_disk_is_tried_if_it_is_needed(
    admin: Any, valkey_url: str, waits: bool, verdict: Verdict
) -> None:
    [finding] = check(admin, valkey_url, f"{ALL} -waitaof", waits=waits)
    assert finding.verdict is verdict


def test_a_server_that_takes_no_writes_is_told_once(admin: Any, valkey_url: str) -> None:
    admin.config_set("min-replicas-to-write", 1)
    try:
        [finding] = check(admin, valkey_url, ALL)
    finally:
        admin.config_set("min-replicas-to-write", 0)
    assert finding.verdict is Verdict.FAIL
    assert "Not enough good replicas" in finding.found


def test_wrong_credentials_are_an_error(valkey_url: str) -> None:
    url = re.sub(r"//[^@/]*@?(?=[\w.]+:)", "//nobody:pw@", valkey_url)
    with connect(url) as client, pytest.raises(StoreUnavailable, match="credentials"):
        list(check_rights(Ledger(client), waits=False))


def test_every_command_of_the_scripts_is_tried() -> None:
    scripts = (ROOT / "limner" / "ledger" / "lua").rglob("*.lua")
    called = {
        name for path in scripts for name in re.findall(r"redis\.p?call\('([A-Z]+)'", Path(path).read_text())
    }
    assert called
    assert called <= TRIED
