"""Clients of both kinds, as blocking callables, and servers that a module shares."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from limner._redis import async_store_errors, connect, connect_async, store_errors
from sandbox.local.network import Proxy
from sandbox.local.ports import HOST
from sandbox.local.valkey import EmbeddedValkey

Command = Callable[..., Any]
Connect = Callable[..., Command]
"""Makes a client of a URL, as a function that executes a command."""


@pytest.fixture(params=["blocking", "asyncio"])
def client_of(request: pytest.FixtureRequest) -> Iterator[Connect]:
    """Makes clients that raise errors of Limner, blocking ones and those of asyncio."""
    with ExitStack() as stack:
        yield lambda url, **options: _MAKERS[request.param](stack, url, options)


def _blocking(stack: ExitStack, url: str, options: dict[str, Any]) -> Command:
    client: Any = stack.enter_context(connect(url, **options))

    def command(*words: Any) -> Any:
        with store_errors(client):
            return client.execute_command(*words)

    return command


def _in_a_loop(stack: ExitStack, url: str, options: dict[str, Any]) -> Command:
    runner = stack.enter_context(asyncio.Runner())

    async def made() -> Any:
        return connect_async(url, **options)

    client = runner.run(made())
    stack.callback(lambda: runner.run(client.aclose()))

    def command(*words: Any) -> Any:
        async def ask() -> Any:
            with async_store_errors(client):
                return await client.execute_command(*words)

        return runner.run(ask())

    return command


_MAKERS = {"blocking": _blocking, "asyncio": _in_a_loop}


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedValkey]:
    with EmbeddedValkey(configuration=["lua-time-limit 50", "latency-tracking no"]) as valkey:
        yield valkey


@pytest.fixture
def proxy(server: EmbeddedValkey) -> Iterator[Proxy]:
    with Proxy(HOST, server.port) as between:
        yield between


@pytest.fixture
def url(server: EmbeddedValkey, proxy: Proxy) -> str:
    """The URL of the server behind the proxy."""
    return f"redis://:{server.password}@{HOST}:{proxy.port}/0"
