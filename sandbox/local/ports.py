"""Free ports on loopback, and the proof that a server answers on one."""

import contextlib
import socket
import time
from collections.abc import Callable
from typing import Final

__all__ = ["HOST", "answers", "free_port"]

HOST: Final = "127.0.0.1"


def free_port() -> int:
    """A port that only a server which asks for this number gets."""
    # The kernel does not give a port with a connection in TIME_WAIT to a request for any free port, but a
    # server can bind it by its number. So servers that start at the same time do not take each other's ports.
    with socket.create_server((HOST, 0)) as listener:
        port: int = listener.getsockname()[1]
        with socket.create_connection((HOST, port)):
            accepted, _ = listener.accept()
            accepted.close()  # the side that closes first keeps the TIME_WAIT
    return port


def answers(port: int, password: str | None, running: Callable[[], bool], deadline: float) -> bool:
    """Wait for a server's first answer; False if it ends, or is silent until ``deadline``.

    Only our own server knows the password, so a successful AUTH also proves that the port is ours.
    The deadline is one of ``time.monotonic``.
    """
    commands = [*([f"AUTH {password}"] if password else []), "PING"]
    expected = [*([b"+OK\r\n"] if password else []), b"+PONG\r\n"]
    while running() and time.monotonic() < deadline:
        with (
            contextlib.suppress(OSError),
            socket.create_connection((HOST, port), timeout=1) as connection,
        ):
            connection.sendall("".join(f"{command}\r\n" for command in commands).encode())
            replies = connection.makefile("rb")
            if [replies.readline() for _ in expected] == expected:
                return running()
        time.sleep(0.005)
    return False
