"""The doctor's view of pauses and workers, on a real ledger."""

from dataclasses import replace

import pytest
import redis

from config import Settings
from limner.ledger import Closing, Ledger, Quota
from tests.integration.worker.health.conftest import MakeSettings
from worker.health.account_checks import check_accounts
from worker.health.findings import Finding, Verdict

QUOTA = Quota(20, 10.0, 10, 1.0, 100)
NONE = Finding("pauses", Verdict.OK, "none")


@pytest.fixture
def settings(make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("NORTH", "key-of-north")
    monkeypatch.setenv("SOUTH", "key-of-south")
    accounts = {"north": {"key": "env:NORTH"}, "south": {"key": "env:SOUTH"}}
    return make_settings("https://api.kie.ai", accounts=accounts)


def test_accounts_without_workers_are_named(settings: Settings, ledger: Ledger) -> None:
    ledger.queue.claim(replace(QUOTA, account="north"))
    pauses, north, south = check_accounts(settings, ledger)
    assert pauses == NONE
    assert (north.verdict, north.found) == (Verdict.OK, "account north is served")
    assert (south.verdict, south.found) == (
        Verdict.WARN,
        "none has asked for work of account south yet",
    )
    assert south.advice == "start a worker"


def test_workers_that_have_gone_are_told(settings: Settings, valkey_url: str) -> None:
    with redis.Redis.from_url(valkey_url, decode_responses=True) as client:
        Ledger(client, clock=lambda: 1_800_000_000.0).queue.claim(replace(QUOTA, account="north"))
        _, north, _ = check_accounts(settings, Ledger(client, clock=lambda: 1_800_000_060.0))
    assert (north.verdict, north.found) == (
        Verdict.WARN,
        "none has asked for work of account north since 2027-01-15T08:00:00Z",
    )


def test_a_pause_is_told_with_what_ends_it(settings: Settings, valkey_url: str) -> None:
    with redis.Redis.from_url(valkey_url, decode_responses=True) as client:
        ledger = Ledger(client, clock=lambda: 1_800_000_000.0)
        ledger.queue.claim(replace(QUOTA, account="north"), replace(QUOTA, account="south"))
        ledger.accounts.close("north", Closing("gateway", 5.0, 300.0), {"message": "no such path"})
        ledger.accounts.pause("south", reason="Invoices first")
        north, south, *_ = check_accounts(settings, ledger)
    assert north.found == (
        "account north is paused, gateway (no such path), since 2027-01-15T08:00:00Z, until it is tried "
        "again at 2027-01-15T08:00:05Z"
    )
    assert (north.verdict, north.advice) == (Verdict.WARN, "python -m limner resume north ends the pause")
    assert south.found == (
        "account south is paused, by_hand (Invoices first), since 2027-01-15T08:00:00Z, until somebody "
        "resumes it"
    )
