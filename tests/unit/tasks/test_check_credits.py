"""The check of an account's balance while it is paused for lack of credits."""

from decimal import Decimal
from typing import Any

import pytest

from provider import KieClient, ProviderError, Unreadable, Why
from tasks.check_credits import check
from tests.unit.tasks.doubles import Desk, Recorder


def checked(balance: Any, account: str = "main") -> Desk:
    desk = Desk(provider=Recorder(KieClient, credits=balance), settings={"pause_max_seconds": 600})
    check(desk.services(), account, 7)
    return desk


def test_the_balance_goes_to_the_ledger_under_the_step_s_lease() -> None:
    assert checked(Decimal(12)).accounts.given("balance_read") == {
        "account": "main",
        "lease": 7,
        "balance": Decimal(12),
        "longest": 600,
    }


def test_a_balance_that_cannot_be_read_is_reported_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    away = ProviderError("no balance", Unreadable(Why.TIMED_OUT, None, None, ""))
    told = checked(away).accounts.given("balance_read")
    assert (told["balance"], told["error"]) == (None, "no balance")
    assert "no balance" in caplog.text


def test_an_account_whose_key_this_worker_lacks_stays_paused(caplog: pytest.LogCaptureFixture) -> None:
    desk = checked(Decimal(12), account="south")
    assert desk.accounts.calls == []
    assert desk.provider.calls == []
    assert "south" in caplog.text
