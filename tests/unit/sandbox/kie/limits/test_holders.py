import pytest

from sandbox.kie.limits.holders import key_holders


def test_without_accounts_one_account_has_all_keys() -> None:
    assert dict(key_holders("", "one, two,one,")) == {"main": ("one", "two")}


def test_accounts_have_their_keys_in_the_given_order() -> None:
    holders = key_holders(" north = b + a ,south=c", "unused")
    assert dict(holders) == {"north": ("b", "a"), "south": ("c",)}


@pytest.mark.parametrize(
    ("accounts", "message"),
    [
        ("north=a,north=b", "accounts: north is there twice"),
        ("north=a,south=a", "accounts: a key is there twice"),
        ("north=a+a", "accounts: a key is there twice"),
        ("=a", "accounts: a name is empty"),
        ("north=a,", "accounts: a name is empty"),
        ("north", "accounts: north has an empty key"),
        ("north=a+,south=b", "accounts: north has an empty key"),
    ],
)
def test_a_mistake_names_the_option(accounts: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        key_holders(accounts, "")


def test_a_mistake_does_not_show_a_key() -> None:
    with pytest.raises(ValueError, match="accounts") as raised:
        key_holders("north=secret-1+,south=secret-1", "")
    assert "secret" not in str(raised.value)
