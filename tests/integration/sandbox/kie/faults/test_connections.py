"""Answers that break off, on a real socket."""

import socket
import threading
from collections.abc import Callable, Iterator

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.kie.faults.connections import Breakable, Broken, gateway_page
from tests.conftest import eventually

ANSWERS: dict[str, Callable[[], Response]] = {
    "drop": lambda: Broken(reset=False),
    "reset": lambda: Broken(reset=True),
    "half": lambda: Broken(b"half of it", reset=False),
    "page": lambda: gateway_page("502"),
}


async def _answer(request: Request) -> Response:
    return ANSWERS[request.path_params["name"]]()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    app = Starlette(routes=[Route("/{name}", _answer)])
    server = uvicorn.Server(uvicorn.Config(app, http=Breakable, log_level="critical", lifespan="off"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        eventually(lambda: server.started)
        yield listener.getsockname()[1]
        server.should_exit = True
        thread.join(10.0)


def seen(port: int, name: str) -> bytes:
    """The bytes that come until the server closes; raises ConnectionResetError if it resets."""
    with socket.create_connection(("127.0.0.1", port), timeout=10.0) as connection:
        connection.sendall(f"GET /{name} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        return b"".join(iter(lambda: connection.recv(4096), b""))


def test_a_drop_is_an_orderly_end_without_a_byte(port: int) -> None:
    assert seen(port, "drop") == b""


def test_a_reset_is_told_from_an_orderly_end(port: int) -> None:
    with pytest.raises(ConnectionResetError):
        seen(port, "reset")


def test_a_part_comes_under_the_length_of_a_whole(port: int) -> None:
    head, _, body = seen(port, "half").partition(b"\r\n\r\n")
    assert b"content-length: 20" in head.lower()
    assert body == b"half of it"


def test_a_gateway_s_page_has_a_real_status_and_no_code(port: int) -> None:
    head, _, body = seen(port, "page").partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 502 ")
    assert body.startswith(b"<html>")
