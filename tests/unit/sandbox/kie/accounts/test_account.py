import pytest

from sandbox.kie.accounts.account import Account
from sandbox.kie.faults.refusals import NO_CREDITS, TOO_OFTEN
from sandbox.kie.options import ProviderOptions
from sandbox.kie.tasks.orders import MODEL, TaskOrder


def order(images: int = 1) -> TaskOrder:
    return TaskOrder(MODEL, {"prompt": "a"}, None, "QUALITY", images)


@pytest.mark.parametrize(
    ("header", "key"),
    [
        ("Bearer one", "one"),
        ("bearer two", "two"),
        ("Bearer three", None),
        ("one", None),
        ("Bearer ", None),
        (None, None),
    ],
)
def test_only_the_accounts_keys_are_accepted(header: str | None, key: str | None) -> None:
    assert Account(ProviderOptions(keys="one, two")).key(header) == key


def test_held_credits_return_when_a_task_fails() -> None:
    account = Account(ProviderOptions(credits=25))
    account.book(10, now=0, ends=5, refunded=True)
    account.book(10, now=0, ends=5, refunded=False)
    assert account.can_pay(order(), now=4) is NO_CREDITS
    assert account.can_pay(order(), now=5) is None
    assert account.balance(now=5) == 15


def test_a_cap_on_running_tasks_answers_like_the_rate_limit() -> None:
    account = Account(ProviderOptions(max_running=1))
    account.book(10, now=0, ends=5, refunded=False)
    assert account.may_create(now=4) is TOO_OFTEN
    assert account.may_create(now=5) is None


def test_each_key_has_its_own_budget_of_reads() -> None:
    account = Account(ProviderOptions(reads=2))
    assert [account.may_read("one", 0.0) for _ in range(3)] == [None, None, TOO_OFTEN]
    assert account.may_read("two", 0.0) is None
    assert account.may_read("one", 1.0) is None
