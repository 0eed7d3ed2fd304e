"""A server of bare sockets, which sends exactly the bytes of a script and keeps the requests."""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

TASK = "3f0c9a5be1d24772a86b1d0e5c94f1aa"
ACCEPTED = b'{"code":200,"msg":"success","data":{"taskId":"%s"}}' % TASK.encode()


def http(body: bytes, *, status: str = "200 OK", headers: str = "") -> bytes:
    """A complete HTTP/1.1 answer."""
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


@dataclass
class Conversation:
    """One accepted connection on the server's side."""

    socket: socket.socket
    done: threading.Event
    requests: list[bytes]

    def receive(self) -> bytes:
        """Receive and keep one complete request; return b"" if the client closed the connection."""
        head = b""
        while b"\r\n\r\n" not in head:
            if not (chunk := self.socket.recv(65536)):
                return b""
            head += chunk
        head, _, body = head.partition(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
        )
        while len(body) < length:
            body += self.socket.recv(65536)
        self.requests.append(head + b"\r\n\r\n" + body)
        return self.requests[-1]

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def reset(self) -> None:
        """Close the connection with a TCP reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def wait(self) -> None:
        """Keep the connection open until the test has ended."""
        self.done.wait(30)


@dataclass
class RawServer:
    """A server that runs the script for each connection in its own thread."""

    script: Callable[[Conversation], None]
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0

    def __enter__(self) -> Self:
        self._done = threading.Event()
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.05)
        self._acceptor = threading.Thread(target=self._accept)
        self._acceptor.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._acceptor.join()
        self._listener.close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def _accept(self) -> None:
        while not self._done.is_set():
            with contextlib.suppress(TimeoutError):
                connection, _ = self._listener.accept()
                connection.settimeout(10)
                self.connections += 1
                self._open.append(connection)
                thread = threading.Thread(target=self._run, args=(connection,))
                self._threads.append(thread)
                thread.start()

    def _run(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            self.script(Conversation(connection, self._done, self.requests))


def always(answer: bytes) -> Callable[[Conversation], None]:
    """A script that answers every request of a connection with the same bytes."""

    def script(conversation: Conversation) -> None:
        while conversation.receive():
            conversation.send(answer)

    return script
