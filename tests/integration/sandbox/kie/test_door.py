"""A stand-in that cannot be reached for a while."""

import socket
import time
from collections.abc import Iterator

import httpx
import pytest

from sandbox.kie.server import SandboxProvider
from tests.integration.sandbox.conftest import client_of, create, until


@pytest.fixture(scope="module")
def alone() -> Iterator[SandboxProvider]:
    with SandboxProvider(creates=0, duration=0.1) as provider:
        yield provider


@pytest.fixture
def provider(alone: SandboxProvider) -> SandboxProvider:
    alone.reset()
    return alone


def reachable(provider: SandboxProvider) -> bool:
    with client_of(provider) as client:
        try:
            return client.get("/api/v1/chat/credit", timeout=0.5).status_code == 200
        except httpx.TransportError:
            return False


def first_byte(port: int) -> bytes:
    """A slow machine may see the reset while it still connects."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        return connection.recv(1)


def test_a_closed_door_refuses_connections_and_opens_by_itself(
    provider: SandboxProvider, client: httpx.Client
) -> None:
    create(client)  # a connection that is kept alive
    provider.faults(unreachable={"seconds": 1.0})
    began = time.monotonic()
    with pytest.raises(httpx.TransportError):
        create(client)
    with pytest.raises(httpx.ConnectError):
        create(client)
    until(lambda: reachable(provider))
    assert time.monotonic() - began > 0.8
    assert provider.summary()["created"] == 1
    assert provider.faults() == {}


def test_who_closed_the_door_can_look_at_the_ledger_and_open_it(
    provider: SandboxProvider, client: httpx.Client
) -> None:
    provider.faults(unreachable={"seconds": 60})
    assert provider.ledger() == []
    assert not reachable(provider)
    provider.faults(unreachable=0)
    assert reachable(provider)
    provider.faults(unreachable={"seconds": 60})
    provider.reset()
    assert reachable(provider)


def test_a_connection_can_be_reset_as_soon_as_it_is_there(provider: SandboxProvider) -> None:
    provider.faults(unreachable={"seconds": 60, "variant": "reset"})
    with pytest.raises(ConnectionResetError):
        first_byte(int(provider.url.rsplit(":", 1)[1]))
    provider.faults(unreachable=0)
    assert reachable(provider)


def test_a_connection_can_be_accepted_and_never_answered(
    provider: SandboxProvider, client: httpx.Client
) -> None:
    provider.faults(unreachable={"seconds": 60, "variant": "hang"})
    with pytest.raises(httpx.ReadTimeout):
        client.get("/api/v1/chat/credit", timeout=0.3)
    provider.faults(unreachable={"seconds": 0.5, "variant": "hang"})
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        client.get("/api/v1/chat/credit")  # broken off when the door opens
    assert reachable(provider)


def test_the_door_closes_at_run_time_only_and_for_a_time() -> None:
    with pytest.raises(ValueError, match="unreachable can be switched on at run time only"):
        SandboxProvider(faults={"unreachable": {"seconds": 5}})
    with pytest.raises(ValueError, match="unreachable: seconds are wanted"):
        SandboxProvider(faults={"unreachable": 1})
