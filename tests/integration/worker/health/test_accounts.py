"""The start of a worker in front of a provider that does not answer as it should."""

import logging
from dataclasses import replace

import pytest

from limner.ledger import Closing, Ledger, Quota
from limner.pauses import Pause
from sandbox.kie.server import SandboxProvider
from tests.integration.worker.health.conftest import MakeSettings
from tests.integration.worker.health.servers import closed_port, serving
from worker.health.accounts import check_accounts

QUOTA = Quota(20, 10.0, 10, 1.0, 100)
TWO = {"north": {"key": "env:NORTH"}, "south": {"key": "env:SOUTH"}}


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NORTH", "key-of-north")
    monkeypatch.setenv("SOUTH", "key-of-south")


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "worker.health.accounts")
    return caplog


def lines(told: pytest.LogCaptureFixture, level: str) -> list[str]:
    return [record.getMessage() for record in told.records if record.levelname == level]


def pause(ledger: Ledger, account: str = "main") -> Pause | None:
    ledger.queue.claim(replace(QUOTA, account=account))
    [found] = [each.pause for each in ledger.accounts.statuses() if each.account == account]
    return found


def test_the_balance_is_told(
    provider: SandboxProvider, make_settings: MakeSettings, ledger: Ledger, told: pytest.LogCaptureFixture
) -> None:
    provider.set_credits(12.5, "north")
    check_accounts(make_settings(provider.url))
    assert lines(told, "INFO") == ["account main has 12.5 credits left"]
    assert lines(told, "ERROR") == []
    assert pause(ledger) is None


def test_a_fault_of_the_way_closes_all_accounts_and_is_told_once(
    make_settings: MakeSettings, ledger: Ledger, told: pytest.LogCaptureFixture
) -> None:
    port = closed_port()
    settings = make_settings(
        f"http://127.0.0.1:{port}", accounts=TWO, pause_seconds=7.0, pause_max_seconds=70.0
    )
    check_accounts(settings)
    [line] = lines(told, "ERROR")
    assert line.startswith("LIMNER_API_URL: no connection to 127.0.0.1: ")
    assert line.endswith(" (accounts north, south: closed, unreachable; opens by itself)")
    for account in TWO:
        closed = pause(ledger, account)
        assert closed
        assert closed.cause == "unreachable"
        assert closed.until
        assert 6.9 < (closed.until - closed.since).total_seconds() < 7.1
        assert closed.message.startswith("LIMNER_API_URL: no connection")


def test_a_wrong_key_closes_its_account_alone(
    provider: SandboxProvider,
    make_settings: MakeSettings,
    ledger: Ledger,
    told: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SOUTH", "made-up")
    check_accounts(make_settings(provider.url, accounts=TWO))
    [line] = lines(told, "ERROR")
    assert line.startswith("LIMNER_ACCOUNTS: south: the provider refuses the key (")
    assert "made-up" not in line
    closed = pause(ledger, "south")
    assert closed
    assert closed.cause == "unauthorized"
    assert pause(ledger, "north") is None


def test_a_redirect_is_told_with_its_location(
    make_settings: MakeSettings, ledger: Ledger, told: pytest.LogCaptureFixture
) -> None:
    with serving(lambda *_: (308, {"Location": "https://api.kie.ai/"}, b"")) as url:
        check_accounts(make_settings(url))
    [line] = lines(told, "ERROR")
    assert line.startswith(f"LIMNER_API_URL: {url} is redirected to https://api.kie.ai/ (HTTP 308); ")
    closed = pause(ledger)
    assert closed
    assert closed.cause == "gateway"


def test_an_account_that_is_paused_stays_as_it_is(
    provider: SandboxProvider, make_settings: MakeSettings, ledger: Ledger
) -> None:
    ledger.accounts.close("main", Closing("no_credits", 60.0, 900.0), {"message": "Top up"})
    before = pause(ledger)
    check_accounts(make_settings(provider.url))
    assert pause(ledger) == before
    check_accounts(make_settings(f"http://127.0.0.1:{closed_port()}"))
    assert pause(ledger) == before


def test_an_unknown_balance_closes_nothing(
    make_settings: MakeSettings, ledger: Ledger, told: pytest.LogCaptureFixture
) -> None:
    with serving(lambda *_: (200, {}, b'{"code":200,"data":null}')) as url:
        check_accounts(make_settings(url))
    assert [line for line in lines(told, "WARNING") if "does not tell the balance" in line]
    assert lines(told, "ERROR") == []
    assert pause(ledger) is None
