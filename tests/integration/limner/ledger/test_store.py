"""One Redis, its clock and its scripts."""

import asyncio
from datetime import UTC, datetime

import pytest

from limner._redis import connect, connect_async
from limner.configuration import Durability
from limner.errors import NotDurable, StoreUnavailable
from limner.ledger.layout.keys import MARK
from limner.ledger.ledger import CheckLayout
from limner.ledger.store import Store
from tests.integration.limner.ledger.conftest import START, Bench


def test_the_servers_clock_rules_unless_one_is_given(bench: Bench) -> None:
    assert Store(bench.client).now((1_700_000_000, 500_000)) == 1_700_000_000.5
    assert bench.ledger.store.now((1_700_000_000, 500_000)) == START
    assert bench.ledger.store.moment((0, 0)) == datetime.fromtimestamp(START, UTC)


def test_a_script_that_the_server_has_forgotten_is_sent_again(bench: Bench) -> None:
    bench.client.script_flush()
    assert bench.ledger.store.run(CheckLayout())
    assert bench.client.script_exists(CheckLayout.sha()) == [True]


def test_several_scripts_are_carried_out_although_the_server_knew_none(bench: Bench) -> None:
    bench.client.script_flush()
    assert bench.ledger.store.run_durably(CheckLayout(), CheckLayout()) == [True, True]


def test_a_write_that_need_not_wait_for_the_disk_leaves_no_mark(bench: Bench) -> None:
    bench.ledger.store.run_durably(CheckLayout())
    assert not bench.client.exists(MARK(bench.ledger.prefix))


def test_a_server_without_an_append_only_file_confirms_no_write(bench: Bench) -> None:
    store = Store(bench.client, durability=Durability.DISK)
    with pytest.raises(NotDurable, match="Redis did not confirm in time that a write is on its disk"):
        store.run_durably(CheckLayout())
    assert bench.client.exists(MARK(store.prefix))


def test_a_call_never_blocks_for_as_long_as_the_client_waits(valkey_url: str) -> None:
    with connect(valkey_url, timeout=3.0) as client:
        assert Store(client).longest_block == 1.5


def test_groups_have_prefixes_of_their_own(bench: Bench) -> None:
    assert Store(bench.client, group="other").prefix == "limner:{other}:"


@pytest.mark.parametrize("known", [True, False])
def test_an_asynchronous_client_runs_the_same_script(bench: Bench, valkey_url: str, known: bool) -> None:
    if not known:
        bench.client.script_flush()

    async def ask() -> bool:
        async with connect_async(valkey_url) as client:
            return await bench.ledger.store.arun_durably(client, CheckLayout())

    assert asyncio.run(ask())


def test_a_redis_that_is_away_is_told() -> None:
    store = Store(connect("redis://127.0.0.1:1/0"))
    with pytest.raises(StoreUnavailable, match=r"127\.0\.0\.1:1"), store.client() as client:
        client.ping()
