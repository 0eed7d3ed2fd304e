from typing import Any

import pytest

from sandbox.kie.accounts.accounts import Accounts, Caller, InvalidChange
from sandbox.kie.faults.refusals import TOO_OFTEN
from sandbox.kie.options import ProviderOptions


def accounts(**options: Any) -> Accounts:
    return Accounts(ProviderOptions(accounts="north=n1+n2,south=s1", **options))


def caller(of: Accounts, key: str) -> Caller:
    caller = of.caller(f"Bearer {key}")
    assert caller is not None
    return caller


def test_a_caller_has_its_account_and_the_index_of_its_key() -> None:
    north = caller(accounts(), "n2")
    assert (north.account.name, north.key_index, north.allowed) == ("north", 1, True)


def test_an_unknown_key_has_no_caller() -> None:
    assert accounts().caller("Bearer x") is None
    assert accounts().caller(None) is None


def test_accounts_share_no_window_running_tasks_or_credits() -> None:
    both = accounts(creates=1, credits=100)
    both["north"].book(10, now=0, ends=5, refunded=False)
    assert both["north"].may_create(now=1) is TOO_OFTEN
    assert both["south"].may_create(now=1) is None
    assert (both["north"].balance(1), both["south"].balance(1)) == (90, 100)
    assert (both["north"].running(1), both["south"].running(1)) == (1, 0)


def test_a_top_up_sets_the_balance_and_keeps_held_credits() -> None:
    both = accounts(credits=15)
    both["north"].book(10, now=0, ends=5, refunded=True)
    assert both.change({"account": "north", "credits": 500}, 1)["balance"] == 500
    assert both["north"].balance(5) == 510
    assert both["south"].balance(5) == 15


def test_a_key_is_revoked_and_restored_independently_of_others() -> None:
    both = accounts()
    assert both.change({"revoke": "n1"}, 0) == {"account": "north", "balance": 1_000_000, "revoked": [0]}
    assert [caller(both, key).allowed for key in ("n1", "n2", "s1")] == [False, True, True]
    assert both.change({"account": "north", "restore": "n1"}, 0)["revoked"] == []
    assert caller(both, "n1").allowed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ([], "an object with one of credits, revoke, restore"),
        ({"account": "north"}, "an object with one of credits, revoke, restore"),
        ({"credits": 5}, "account: which one"),
        ({"account": "west", "credits": 5}, "account: 'west' does not exist; there are north, south"),
        ({"account": "north", "credits": -1}, "credits: a number"),
        ({"account": "north", "credits": True}, "credits: a number"),
        ({"account": "north", "credits": float("inf")}, "credits: a number"),
        ({"account": "south", "revoke": "n1"}, "revoke: south has no such key"),
        ({"revoke": "x"}, "no account has that key"),
        ({"account": "north", "credit": 5, "revoke": "n1"}, "credit: no such field"),
    ],
)
def test_an_invalid_change_is_named(change: Any, message: str) -> None:
    with pytest.raises(InvalidChange, match=message):
        accounts().change(change, 0)


def test_a_partly_invalid_change_changes_nothing() -> None:
    both = accounts(credits=10)
    with pytest.raises(InvalidChange, match="revoke"):
        both.change({"account": "north", "credits": 500, "revoke": "s1"}, 0)
    assert both["north"].balance(0) == 10
