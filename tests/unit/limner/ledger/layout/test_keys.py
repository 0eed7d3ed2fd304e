"""Keys as Redis gets them."""

from limner.ledger.layout.keys import DUE, JOB, KEYS, MONEY, prefix_of


def test_a_group_s_keys_share_the_hash_tag_that_keeps_them_on_one_node() -> None:
    assert prefix_of("limner", "main") == "limner:{main}:"


def test_a_key_has_its_prefix_and_what_it_is_of() -> None:
    prefix = prefix_of("limner", "main")
    assert DUE(prefix) == "limner:{main}:due"
    assert JOB(prefix, "j1") == "limner:{main}:job:j1"
    assert MONEY(prefix, 20_000) == "limner:{main}:money:20000"


def test_only_a_key_that_ends_in_a_colon_is_of_something() -> None:
    assert [name for name, key in KEYS.items() if bool(key.of) is not key.name.endswith(":")] == []
