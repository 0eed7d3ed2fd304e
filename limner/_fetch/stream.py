"""The bytes of a connection, each wait for them bounded."""

import io
import socket
from io import BufferedReader
from typing import TYPE_CHECKING

from limner._fetch.deadline import Deadline
from limner._fetch.faults import FetchError, FetchFault

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class Stream(io.RawIOBase):
    """The bytes that a socket receives until a deadline. Closing the stream leaves the socket open."""

    def __init__(self, connection: socket.socket, deadline: Deadline) -> None:
        super().__init__()
        self._socket = connection
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Receive some bytes; 0 at the end. Raises FetchError."""
        self._socket.settimeout(self._deadline.wait())
        try:
            return self._socket.recv_into(buffer)
        except TimeoutError:
            raise self._deadline.missed() from None
        except OSError as error:
            raise FetchError(FetchFault.CUT_OFF, "the connection broke before the answer ended") from error


def reader(connection: socket.socket, deadline: Deadline, *, ahead: int = 8192) -> BufferedReader:
    """A reader of lines and pieces, which receives up to ``ahead`` bytes more than it was asked for."""
    return BufferedReader(Stream(connection, deadline), ahead)


def send(connection: socket.socket, data: bytes, deadline: Deadline) -> None:
    """Send all of the data; raises FetchError."""
    connection.settimeout(deadline.wait())
    try:
        connection.sendall(data)
    except TimeoutError:
        raise deadline.missed("the request to be taken") from None
    except OSError as error:
        raise FetchError(FetchFault.CUT_OFF, "the connection broke before the request was sent") from error
