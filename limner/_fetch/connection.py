"""A connection to a host that came from outside, made only to an address that was checked.

It is apart from what is sent through it, so that every kind of request can use it.
"""

import ipaddress
import socket
import ssl
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from itertools import zip_longest
from typing import Final

from limner._fetch.addresses import Address, is_local, is_public
from limner._fetch.deadline import Deadline
from limner._fetch.faults import FetchError, FetchFault
from limner._fetch.lookup import Lookup, Resolve, resolve
from limner._fetch.plain import PlainHosts
from limner._fetch.proxy import Proxy
from limner._fetch.stream import reader, send
from limner._fetch.urls import PORTS, Url, refused

FIRST_FREE_PORT: Final = 1024
"""Below it, only 443 is a port of the web over TLS. The others belong to mail, shells and directories."""
MOST_ADDRESSES: Final = 4
"""The most addresses of a host that are tried."""


class Connection:
    """An open connection, through which one request goes."""

    def __init__(self, connection: socket.socket, deadline: Deadline) -> None:
        self._socket = connection
        self._deadline = deadline
        self.reader = reader(connection, deadline)

    def send(self, data: bytes) -> None:
        """Send all of the data; raises FetchError."""
        send(self._socket, data, self._deadline)

    def close(self) -> None:
        """Close it at once, whatever was not read."""
        self.reader.close()
        self._socket.close()


class Guard:
    """Makes connections to hosts that came from outside. Thread-safe, and holds none of them."""

    def __init__(
        self,
        *,
        plain_hosts: Collection[str] = (),
        proxy: str | None = None,
        resolve: Resolve = resolve,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Raises ValueError for a plain host or a proxy that is not one.

        ``tls`` is what servers are verified with; the system's certificates by default.
        """
        self._plain = PlainHosts(plain_hosts)
        self._proxy = Proxy(proxy) if proxy else None
        self._lookup = Lookup(resolve)
        self._tls = tls or _default_tls()

    def connect(self, url: Url, deadline: Deadline) -> Connection:
        """A connection to the host of the URL, with TLS for https; raises FetchError.

        Plain hosts are connected to without the proxy, since they are near.
        """
        plain = self._plain.has(url)
        if not plain:
            _check_public(url)
        addresses = self._checked(url, deadline, plain=plain)
        connection = self._open(addresses, url.port, deadline, direct=plain)
        try:
            if url.scheme == "https":
                connection = self._secured(connection, url.host, deadline)
            return Connection(connection, deadline)
        except BaseException:
            connection.close()
            raise

    def _checked(self, url: Url, deadline: Deadline, *, plain: bool) -> list[Address]:
        """The addresses of the host, resolved once. One that is not allowed spoils them all.

        A name that has public and private addresses at once is an attack or a mistake, and trying only its
        public ones would hide either.
        """
        addresses = [url.address] if url.address else _parsed(self._lookup.addresses(url.host, deadline))
        for address in addresses:
            if not (is_public(address) or (plain and is_local(address))):
                raise refused(f"its host has the address {address}, which is not public")
        return addresses

    def _open(
        self, addresses: Sequence[Address], port: int, deadline: Deadline, *, direct: bool
    ) -> socket.socket:
        """A connection to the first address that can be reached."""
        if direct or not self._proxy:
            return _first(addresses, lambda address: _connected(address, port, deadline))
        proxy = self._proxy
        return _first(addresses, lambda address: self._through(proxy, address, port, deadline))

    def _through(self, proxy: Proxy, address: Address, port: int, deadline: Deadline) -> socket.socket:
        """A connection to the address through the proxy, whose own addresses are the operator's affair."""
        place = proxy.url
        try:
            near = [place.address] if place.address else _parsed(self._lookup.addresses(place.host, deadline))
            connection = _first(near, lambda own: _connected(own, place.port, deadline))
        except FetchError as error:
            raise FetchError(error.fault, f"the proxy: {error.message}") from error.__cause__
        try:
            proxy.tunnel(connection, address, port, deadline)
        except BaseException:
            connection.close()
            raise
        return connection

    def _secured(self, connection: socket.socket, host: str, deadline: Deadline) -> ssl.SSLSocket:
        """TLS on the connection, with the host's certificate verified."""
        connection.settimeout(deadline.wait())
        try:
            # A connection that ends without TLS's own end would make a body without a length seem whole.
            return self._tls.wrap_socket(connection, server_hostname=host, suppress_ragged_eofs=False)
        except ssl.SSLCertVerificationError as error:
            reason = f"its certificate is not valid: {error.verify_message}"
            raise FetchError(FetchFault.UNREACHABLE, reason) from error
        except TimeoutError:
            raise deadline.missed("the TLS handshake") from None
        except OSError as error:
            raise FetchError(FetchFault.UNREACHABLE, "the TLS handshake failed") from error


def _check_public(url: Url) -> None:
    if url.scheme != "https":
        raise refused("http is only for the plain hosts that the operator names")
    if url.port != PORTS["https"] and url.port < FIRST_FREE_PORT:
        raise refused(f"port {url.port} is not one of the web")


def _first(addresses: Sequence[Address], connect: Callable[[Address], socket.socket]) -> socket.socket:
    """A connection to the first address that can be reached; raises the error of the last one that was tried.

    IPv4 and IPv6 take turns: large hosts have eight addresses of a family that may be broken here.
    """
    preferred = [address for address in addresses if address.version == addresses[0].version]
    others = [address for address in addresses if address.version != addresses[0].version]
    turns = [address for pair in zip_longest(preferred, others) for address in pair if address]
    *early, last = turns[:MOST_ADDRESSES]
    for address in early:
        with suppress(FetchError):
            return connect(address)
    return connect(last)


def _parsed(texts: Sequence[str]) -> list[Address]:
    try:
        return [ipaddress.ip_address(text) for text in texts]
    except ValueError as error:
        raise refused("its host has an address that is not one") from error


def _connected(address: Address, port: int, deadline: Deadline) -> socket.socket:
    seconds = deadline.wait()
    try:
        # The address is a number, so nothing is resolved here.
        return socket.create_connection((str(address), port), timeout=seconds)
    except TimeoutError:
        raise deadline.missed("a connection") from None
    except OSError as error:
        raise FetchError(FetchFault.UNREACHABLE, "its host cannot be connected to") from error


def _default_tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
