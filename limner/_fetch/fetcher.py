"""Gets files from URLs that came from outside."""

import re
import ssl
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Final

from limner._fetch.body import framing, read_body
from limner._fetch.connection import Connection, Guard
from limner._fetch.deadline import Deadline, Limits
from limner._fetch.faults import FetchError, FetchFault
from limner._fetch.head import Head, malformed, read_head
from limner._fetch.lookup import Resolve, resolve
from limner._fetch.urls import Url, follow, parse, refused

USER_AGENT: Final = "Mozilla/5.0 (compatible; limner; image copy)"
"""The provider's file host refuses requests that name no usual client. It holds no version, which would tell
strangers how old an installation is."""
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_MEDIA_TYPE: Final = re.compile(r"[a-z0-9!#$&^_.+-]{1,64}/[a-z0-9!#$&^_.+-]{1,64}", re.ASCII)


@dataclass(frozen=True)
class Download:
    """A file of which the head was read, and whose body waits to be read."""

    url: str = field(repr=False)
    """The URL that answered, after all redirects. It may hold secrets, so the repr leaves it out."""
    content_type: str | None
    """The media type that the server declares, in lower case and without parameters."""
    length: int | None
    """The bytes that the server declares; None if the body's end alone shows its length."""
    _pieces: Iterator[bytes] = field(repr=False)

    def pieces(self) -> Iterator[bytes]:
        """The body, once, in pieces of at most 64 KiB; raises FetchError if it is not whole."""
        return self._pieces


class Fetcher:
    """Gets files by guarded connections. Thread-safe, and holds no connection."""

    def __init__(
        self,
        limits: Limits,
        *,
        plain_hosts: Collection[str] = (),
        proxy: str | None = None,
        resolve: Resolve = resolve,
        tls: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raises ValueError for a plain host or a proxy that is not one.

        ``plain_hosts`` (``host`` or ``host:port``) may speak http and live at private addresses. ``proxy``
        (``http://host:port``) is asked for connections to all other hosts. ``resolve``, ``tls`` and ``clock``
        are for tests.
        """
        self._limits = limits
        self._guard = Guard(plain_hosts=plain_hosts, proxy=proxy, resolve=resolve, tls=tls)
        self._clock = clock

    @contextmanager
    def open(self, url: str) -> Iterator[Download]:
        """The file at the URL; raises FetchError. Leaving the context closes the connection."""
        deadline = Deadline(self._limits, self._clock)
        connection, target, head = self._answer(parse(url), deadline)
        with closing(connection):
            with _told(target):
                frame = framing(head)
                body = read_body(connection.reader, frame, self._limits.max_bytes)
            yield Download(str(target), _media_type(head), frame.length, _told_pieces(target, body))

    def _answer(self, target: Url, deadline: Deadline) -> tuple[Connection, Url, Head]:
        """The head of the file, after all redirects, with the connection that it came by and the last URL."""
        for _ in range(self._limits.redirects + 1):
            with _told(target):
                connection = self._guard.connect(target, deadline)
                try:
                    head = _get(connection, target)
                    if head.status == 200:
                        return connection, target, head
                    following = _following(target, head)
                except BaseException:
                    connection.close()
                    raise
                connection.close()
            target = following
        raise FetchError(
            FetchFault.STATUS, f"{target.shown}: more than {self._limits.redirects} redirects", head.status
        )


def _get(connection: Connection, target: Url) -> Head:
    """Ask for the file, and read the head of the answer."""
    lines = (
        f"GET {target.target} HTTP/1.1",
        f"Host: {target.authority}",
        f"User-Agent: {USER_AGENT}",
        "Accept: image/*",
        "Accept-Encoding: identity",
        "Connection: close",
    )
    connection.send("".join(f"{line}\r\n" for line in (*lines, "")).encode("ascii"))
    return read_head(connection.reader)


def _following(target: Url, head: Head) -> Url:
    """The URL to which a redirect leads; raises FetchError for any other answer."""
    if head.status not in REDIRECTS:
        raise FetchError(FetchFault.STATUS, f"answered with status {head.status}", head.status)
    places = set(head.headers.get("location", ()))
    if len(places) != 1:
        raise malformed("a redirect without one place to go to")
    try:
        # Servers send characters beyond ASCII as UTF-8, and headers were read as Latin-1.
        return follow(target, places.pop().encode("latin-1").decode("utf-8"))
    except UnicodeDecodeError:
        raise refused("a redirect to a URL that is not in UTF-8") from None


def _media_type(head: Head) -> str | None:
    values = head.headers.get("content-type", ())
    declared = values[0].partition(";")[0].strip().lower() if len(values) == 1 else ""
    return declared if _MEDIA_TYPE.fullmatch(declared) else None


@contextmanager
def _told(target: Url) -> Iterator[None]:
    """Says in errors which URL they are about."""
    try:
        yield
    except FetchError as error:
        message = f"{target.shown}: {error.message}"
        raise FetchError(error.fault, message, error.status) from error.__cause__


def _told_pieces(target: Url, body: Iterator[bytes]) -> Iterator[bytes]:
    with _told(target):
        yield from body
