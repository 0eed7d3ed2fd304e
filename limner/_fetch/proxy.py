"""An operator's proxy, which is asked for connections to addresses that were checked here."""

import socket

from limner._fetch.addresses import Address
from limner._fetch.deadline import Deadline
from limner._fetch.faults import FetchError, FetchFault
from limner._fetch.head import read_head
from limner._fetch.stream import reader, send
from limner._fetch.urls import parse


class Proxy:
    """A proxy that speaks HTTP and knows CONNECT."""

    def __init__(self, url: str) -> None:
        """Raises ValueError if the URL is not ``http://host:port``."""
        try:
            parsed = parse(url)
        except FetchError:
            raise ValueError(
                "the URL of the proxy must look like http://host:port, without a login"
            ) from None
        if parsed.scheme != "http" or parsed.target != "/":
            raise ValueError("the URL of the proxy must look like http://host:port")
        self.url = parsed

    def tunnel(self, connection: socket.socket, address: Address, port: int, deadline: Deadline) -> None:
        """Turn a connection to the proxy into one to the address; raises FetchError."""
        place = f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"
        send(connection, f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n\r\n".encode("ascii"), deadline)
        # One byte at a time: whatever follows the head is no longer the proxy's.
        with reader(connection, deadline, ahead=1) as answer:
            status = read_head(answer).status
        if status != 200:
            raise FetchError(FetchFault.UNREACHABLE, f"the proxy refused to connect, with status {status}")
