"""Connections over a bad network and to a busy server: they serve, or they are replaced."""

import asyncio
import gc
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis

from limner._redis import CannotServe, connect, connect_async, store_errors
from limner.errors import StoreUnavailable
from sandbox.local.commands import says
from sandbox.local.network import Proxy
from sandbox.local.valkey import EmbeddedValkey
from tests.conftest import eventually
from tests.integration.limner._redis.conftest import Connect

QUICK = "?health_check_interval=0.000001"
"""Every use is a use after a pause."""


@contextmanager
def endless_script(server: EmbeddedValkey, seconds: float) -> Iterator[None]:
    """Another client's script, which is killed after a time."""

    def run() -> None:
        with connect(server.url, timeout=30, repeat=False) as client, pytest.raises(CannotServe):
            client.eval("while true do end", 0)

    script = threading.Thread(target=run)
    killer = threading.Timer(seconds, says, (server.port, server.password, "SCRIPT", "KILL"))
    script.start()
    try:
        eventually(lambda: is_busy(server))
        killer.start()
        yield
    finally:
        killer.join()
        script.join()


def is_busy(server: EmbeddedValkey) -> bool:
    try:
        return not says(server.port, server.password, "PING")
    except redis.ResponseError as error:
        return "BUSY" in f"{getattr(error, 'status_code', '')} {error}"


def test_a_forgotten_flow_costs_one_trial(client_of: Connect, url: str, proxy: Proxy) -> None:
    ask = client_of(url + QUICK)
    ask("SET", "key", "1")
    proxy.forget()
    began = time.monotonic()
    assert ask("GET", "key") == "1"
    assert 0.9 < time.monotonic() - began < 2
    began = time.monotonic()
    assert ask("GET", "key") == "1"
    assert time.monotonic() - began < 0.5


def test_a_cut_connection_is_not_noticed(client_of: Connect, url: str, proxy: Proxy) -> None:
    ask = client_of(url)
    for _ in range(3):
        assert ask("SET", "key", "1")
        proxy.cut()
    assert ask("GET", "key") == "1"


def test_a_server_that_is_away_for_a_second_is_not_noticed(
    client_of: Connect, url: str, proxy: Proxy
) -> None:
    ask = client_of(url)
    ask("SET", "key", "1")
    proxy.down()
    back = threading.Timer(1, proxy.up)
    back.start()
    try:
        assert ask("GET", "key") == "1"
    finally:
        back.join()


def test_a_server_that_stays_away_is_told_when_the_time_is_over(
    client_of: Connect, url: str, proxy: Proxy
) -> None:
    ask = client_of(url, timeout=0.5)
    ask("SET", "key", "1")
    proxy.down()
    began = time.monotonic()
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        ask("GET", "key")
    assert time.monotonic() - began < 2


def test_a_frozen_server_is_told_when_the_time_is_over(client_of: Connect, url: str, proxy: Proxy) -> None:
    ask = client_of(url, timeout=0.5)
    ask("SET", "key", "1")
    proxy.freeze()
    began = time.monotonic()
    with pytest.raises(StoreUnavailable, match="did not answer in time"):
        ask("GET", "key")
    assert time.monotonic() - began < 2
    proxy.thaw()
    assert ask("GET", "key") == "1"


def test_a_busy_server_is_waited_for(client_of: Connect, server: EmbeddedValkey) -> None:
    ask = client_of(server.url)
    ask("SET", "key", "1")
    with endless_script(server, 2):
        began = time.monotonic()
        assert ask("SET", "key", "2")
        assert time.monotonic() - began > 1
    assert ask("GET", "key") == "2"


def test_a_handshake_with_a_busy_server_is_repeated(client_of: Connect, server: EmbeddedValkey) -> None:
    ask = client_of(f"{server.url}?client_name=early&db=1")
    with endless_script(server, 0.5):
        assert ask("SET", "key", "1")
    assert ask("CLIENT", "GETNAME") == "early"


def test_a_server_that_stays_busy_is_told_in_its_words(client_of: Connect, server: EmbeddedValkey) -> None:
    ask = client_of(server.url, timeout=0.5)
    ask("SET", "key", "1")
    with endless_script(server, 1), pytest.raises(StoreUnavailable, match=r"refuses to serve: BUSY .* busy"):
        ask("GET", "key")


def test_a_pipeline_is_repeated_as_a_whole(server: EmbeddedValkey) -> None:
    with connect(server.url) as client, client.pipeline(transaction=False) as pipe:
        client.delete("count")
        pipe.set("key", 1).get("key").lpush("key", 1)
        with endless_script(server, 0.5):
            replies = pipe.execute(raise_on_error=False)
    assert replies[:2] == [True, "1"]
    assert "WRONGTYPE" in str(replies[2])


def test_a_pipeline_of_a_loop_is_repeated_as_a_whole(server: EmbeddedValkey) -> None:
    async def replies() -> list[Any]:
        async with connect_async(server.url) as client:
            await client.ping()
            pipe: Any
            async with client.pipeline(transaction=False) as pipe:
                pipe.set("key", 1).get("key").lpush("key", 1)
                return list(await pipe.execute(raise_on_error=False))

    with endless_script(server, 0.5):
        first, second, third = asyncio.run(replies())
    assert (first, second) == (True, "1")
    assert "WRONGTYPE" in str(third)


def test_an_aborted_transaction_is_the_callers_fault(server: EmbeddedValkey) -> None:
    with connect(server.url) as client, client.pipeline() as pipe:
        pipe.set("key", 1).execute_command("GET")
        began = time.monotonic()
        with pytest.raises(redis.ResponseError, match="wrong number of arguments"):
            pipe.execute()
        assert time.monotonic() - began < 1


@pytest.mark.parametrize("fault", [Proxy.cut, Proxy.forget])
def test_a_transaction_that_lost_what_it_watched_begins_anew(
    url: str, proxy: Proxy, fault: Callable[[Proxy], None]
) -> None:
    times = 0

    def change(pipe: Any) -> None:
        nonlocal times
        times += 1
        value = int(pipe.get("count") or 0)
        if times == 1:
            fault(proxy)
        pipe.multi()
        pipe.set("count", value + 1)

    with connect(url + QUICK) as client:
        client.set("count", 0)
        client.transaction(change, "count")
        assert times == 2
        assert client.get("count") == "1"


@pytest.mark.parametrize("protocol", [2, 3])
def test_a_subscription_is_made_again_after_a_silent_end(url: str, proxy: Proxy, protocol: int) -> None:
    options = f"?health_check_interval=0.1&protocol={protocol}"
    with connect(url + options, timeout=0.5) as client, client.pubsub() as listener:
        listener.subscribe("news")
        assert listener.get_message(timeout=5)["type"] == "subscribe"
        proxy.forget()
        eventually(lambda: (listener.get_message(timeout=0.1) or {}).get("type") == "subscribe", within=5)
        client.publish("news", "first")
        eventually(lambda: (listener.get_message(timeout=0.1) or {}).get("data") == "first")


@pytest.mark.parametrize("protocol", [2, 3])
def test_a_subscription_of_a_loop_is_made_again_after_a_silent_end(
    url: str, proxy: Proxy, protocol: int
) -> None:
    options = f"?health_check_interval=0.1&protocol={protocol}"

    async def told() -> Any:
        async with connect_async(url + options, timeout=0.5) as client:
            listener: Any = client.pubsub()
            await listener.subscribe("news")
            subscribed = 0
            async with asyncio.timeout(10):
                while True:
                    message = await listener.get_message(timeout=0.1)
                    if message and message["type"] == "subscribe":
                        subscribed += 1
                        await asyncio.to_thread(proxy.forget) if subscribed == 1 else None
                        if subscribed == 2:
                            await client.publish("news", "first")
                    elif message:
                        await listener.aclose()
                        return message["data"]

    assert asyncio.run(told()) == "first"


def test_a_cancelled_call_ends_with_its_cancellation(url: str, proxy: Proxy) -> None:
    async def cancelled() -> str:
        async with connect_async(url + QUICK) as client:
            await client.set("key", "1")
            await asyncio.to_thread(proxy.forget)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await client.get("key")
            return str(await client.get("key"))

    assert asyncio.run(cancelled()) == "1"


def test_a_forked_child_has_connections_of_its_own(server: EmbeddedValkey) -> None:
    with connect(server.url) as client:
        mine = client.client_id()
        reading, writing = os.pipe()
        if not (child := os.fork()):
            os.write(writing, str(client.client_id()).encode())
            os._exit(0)
        os.waitpid(child, 0)
        assert int(os.read(reading, 20)) != mine == client.client_id()


def test_a_closed_client_leaves_no_connection(client_of: Connect, server: EmbeddedValkey) -> None:
    def names() -> str:
        return str(says(server.port, server.password, "CLIENT", "LIST"))

    ask = client_of(f"{server.url}?client_name=leaving")
    ask("PING")
    assert "leaving" in names()
    with connect(f"{server.url}?client_name=closing") as client:
        client.ping()
    del client
    gc.collect()
    eventually(lambda: "closing" not in names())


def test_a_missing_right_is_told_at_once_and_keeps_the_connection(
    client_of: Connect, server: EmbeddedValkey
) -> None:
    rights = ("ACL", "SETUSER", "small", "on", ">hush", "~*", "+@read", "+client", "+eval")
    says(server.port, server.password, *rights)
    ask = client_of(server.url.replace(f":{server.password}", "small:hush"))
    me = ask("CLIENT", "ID")
    began = time.monotonic()
    for words in (("SET", "key", 1), ("EVAL", "return redis.call('SET', 'key', 1)", 0)):
        with pytest.raises(StoreUnavailable, match=r"refuses to serve: .*no permissions"):
            ask(*words)
    assert time.monotonic() - began < 1
    assert ask("CLIENT", "ID") == me


def test_errors_of_a_client_without_repetition_come_at_once(url: str, proxy: Proxy) -> None:
    with connect(url, repeat=False) as client:
        client.ping()
        proxy.down()
        began = time.monotonic()
        with pytest.raises(StoreUnavailable), store_errors(client):
            client.ping()
        assert time.monotonic() - began < 1
