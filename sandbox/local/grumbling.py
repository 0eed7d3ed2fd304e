"""A Redis that answers commands with errors: a proxy that knows the protocol, for tests."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit, urlunsplit

__all__ = ["GARBAGE", "GrumblingProxy"]

GARBAGE: Final = "\x00\x07?!"
"""A complaint that is no answer of the protocol."""
_CHUNK: Final = 65_536
_ACCEPT: Final = 0.2


class GrumblingProxy:
    """A proxy on loopback in front of a Redis, as a context manager::

        with EmbeddedValkey() as valkey, GrumblingProxy(valkey.url) as proxy:
            with proxy.grumbles("BUSY Redis is busy running a script"):
                redis.Redis.from_url(proxy.url).ping()  # raises

    While it grumbles, it answers every command that arrives, or those of the given names, with this error,
    and forwards none of them. A command that is already waiting at the server, such as BLPOP, stays there.
    """

    def __init__(self, url: str) -> None:
        self._target = urlsplit(url)
        self._listener: socket.socket | None = None
        self._stopped = threading.Event()
        self._complaint: bytes | None = None
        self._names: frozenset[bytes] = frozenset()
        self._sockets: set[socket.socket] = set()
        self._lock = threading.Lock()
        self.complaints = 0
        """The number of commands that were answered with an error."""

    @property
    def url(self) -> str:
        """The URL for clients, with the credentials of the server's own."""
        assert self._listener  # noqa: S101 - it was started
        port = self._listener.getsockname()[1]
        credentials, at, _ = self._target.netloc.rpartition("@")
        return urlunsplit(self._target._replace(netloc=f"{credentials}{at}127.0.0.1:{port}"))

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._listener.settimeout(_ACCEPT)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        assert self._listener  # noqa: S101 - it was started
        self._listener.close()
        with self._lock:
            for each in self._sockets:
                _close(each)

    @contextlib.contextmanager
    def grumbles(self, complaint: str, *commands: str) -> Iterator[None]:
        """Answer with an error line (or GARBAGE) meanwhile: all commands, or only those with these names."""
        self._names = frozenset(name.upper().encode() for name in commands)
        head = "" if complaint == GARBAGE else "-"
        self._complaint = f"{head}{complaint}\r\n".encode()
        try:
            yield
        finally:
            self._complaint = None

    def _accept(self, listener: socket.socket) -> None:
        while not self._stopped.is_set():
            try:
                client, _ = listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            client.settimeout(None)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            server = socket.create_connection(
                (self._target.hostname or "127.0.0.1", self._target.port or 6379)
            )
            for each in (client, server):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._sockets |= {client, server}
            threading.Thread(target=_copy, args=(server, client), daemon=True).start()
            try:
                self._take(client, server)
            finally:
                _close(server)
        _close(client)
        with self._lock:
            self._sockets.discard(client)

    def _take(self, client: socket.socket, server: socket.socket) -> None:
        with client.makefile("rb") as reader:
            while head := reader.readline():
                count = int(head[1:])
                command = [head]
                name = b""
                for position in range(count):
                    length = reader.readline()
                    text = reader.read(int(length[1:]) + 2)
                    if position == 0:
                        name = text[:-2].upper()
                    command += [length, text]
                complaint = self._complaint
                if complaint and (not self._names or name in self._names):
                    self.complaints += 1
                    client.sendall(complaint)
                else:
                    server.sendall(b"".join(command))


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while chunk := source.recv(_CHUNK):
            target.sendall(chunk)
    _close(target)


def _close(each: socket.socket) -> None:
    with contextlib.suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()
