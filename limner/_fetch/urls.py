"""The one reader of URLs: whatever it returns is what is resolved, connected to and sent."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from limner._fetch.faults import FetchError, FetchFault

LONGEST_URL: Final = 8192
"""Characters. Signed URLs of stores have about 2,000."""
LONGEST_HOST: Final = 253
SHOWN_PATH: Final = 40
"""The characters of a path that a message may show."""
PORTS: Final = {"http": 80, "https": 443}

_URL: Final = re.compile(r"([a-z][a-z0-9+.-]*)://([^/?#]*)([^?#]*)(\?[^#]*)?(#.*)?", re.IGNORECASE | re.ASCII)
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE | re.ASCII)
_AUTHORITY: Final = re.compile(r"(\[[0-9a-fA-F:.]*\]|[^:\[\]]*)(?::([0-9]+))?", re.ASCII)
_PORT: Final = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
"""A last label that makes resolvers read the whole host as an IPv4 address, in one base or another."""
_DEVIATING: Final = frozenset("\u00df\u1e9e\u03c2")
"""The letters (sharp s, final sigma) of which IDNA 2003, as in Python, and IDNA 2008 make different hosts."""
_KEPT: Final = "%/:@!$&'()*+,;=~[]?"
"""The characters that are sent as they are. All others are percent-encoded."""


@dataclass(frozen=True)
class Url:
    """A URL whose every part is checked, and ASCII."""

    scheme: str
    """``http`` or ``https``."""
    host: str
    """In lower case: a name, an IPv4 address, or an IPv6 address without brackets."""
    port: int
    path: str
    query: str
    """With its question mark; empty if there is none."""

    @property
    def target(self) -> str:
        """The path and the query, as a request line has them."""
        return self.path + self.query

    @property
    def authority(self) -> str:
        """The host, with its port unless that is the scheme's own, as a Host header has it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.authority}"

    @property
    def address(self) -> "ipaddress.IPv4Address | ipaddress.IPv6Address | None":
        """The address that the host is; None for a name."""
        try:
            return ipaddress.ip_address(self.host)
        except ValueError:
            return None

    @property
    def shown(self) -> str:
        """The URL as a log may show it: without its query, and without the end of a long path."""
        path = self.path if len(self.path) <= SHOWN_PATH else f"{self.path[:SHOWN_PATH]}…"
        return self.origin + path

    def __str__(self) -> str:
        return self.origin + self.target


def parse(text: str) -> Url:
    """The URL in the text, without its fragment; raises FetchError for all that readers read differently."""
    if len(text) > LONGEST_URL:
        raise refused(f"a URL of more than {LONGEST_URL} characters")
    if any(character.isspace() or not character.isprintable() for character in text):
        raise refused("a URL with white space or control characters")
    if "\\" in text:
        raise refused("a URL with a backslash")
    parts = _URL.fullmatch(text)
    if not parts:
        raise refused("not a URL with a scheme and a host")
    scheme, path, query = parts[1].lower(), parts[3] or "/", parts[4] or ""
    if scheme not in PORTS:
        raise refused("a URL of a scheme other than https")
    host, port = parse_authority(parts[2])
    url = Url(scheme, host, port or PORTS[scheme], quote(path, safe=_KEPT), quote(query, safe=_KEPT))
    if len(str(url)) > LONGEST_URL:
        raise refused(f"a URL of more than {LONGEST_URL} characters when encoded")
    return url


def follow(base: Url, location: str) -> Url:
    """The URL to which a Location header at ``base`` leads.

    Dots in a relative path are left to the server, which has to resolve them in any case.
    """
    if _SCHEME.match(location):
        return parse(location)
    if location.startswith("//"):
        return parse(f"{base.scheme}:{location}")
    if location.startswith("/"):
        return parse(base.origin + location)
    if location.startswith("?"):
        return parse(base.origin + base.path + location)
    if not location or location.startswith("#"):
        raise refused("a redirect to itself")
    return parse(f"{base.origin}{base.path.rpartition('/')[0]}/{location}")


def parse_authority(text: str) -> tuple[str, int | None]:
    """The host, and the port if there is one, of ``host:port`` or ``[address]:port``; raises FetchError."""
    if "@" in text:
        raise refused("a URL with user information")
    parts = _AUTHORITY.fullmatch(text)
    if not parts:
        raise refused("a URL whose host or port is not one")
    port = parts[2]
    if port is not None and (not _PORT.fullmatch(port) or int(port) > 65535):
        raise refused("a URL whose port is not one")
    return _host(parts[1]), None if port is None else int(port)


def refused(reason: str) -> FetchError:
    """The error about a URL that may not be fetched, which says nothing of the URL."""
    return FetchError(FetchFault.FORBIDDEN, f"refused: {reason}")


def _host(text: str) -> str:
    if text.startswith("["):
        try:
            return str(ipaddress.IPv6Address(text[1:-1]))
        except ValueError:
            raise refused("a URL whose host is in brackets, but is no IPv6 address") from None
    host = _ascii(text)
    labels = host.split(".")
    if len(host) > LONGEST_HOST or not all(map(_LABEL.fullmatch, labels)):
        raise refused("a URL whose host is not a name")
    if _NUMBER.fullmatch(labels[-1]):
        try:
            # It takes four decimal numbers without leading zeros, and nothing else.
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            raise refused("a URL whose host is a number other than a plain IPv4 address") from None
    return host


def _ascii(host: str) -> str:
    """The host in lower case and ASCII. It is still to be checked: IDNA makes digits of other characters."""
    if len(host) > LONGEST_HOST:
        raise refused(f"a URL whose host has more than {LONGEST_HOST} characters")
    if host.isascii():
        return host.lower()
    if not _DEVIATING.isdisjoint(host):
        raise refused("a URL whose host has two forms in ASCII")
    try:
        return host.encode("idna").decode("ascii").lower()
    except UnicodeError:
        raise refused("a URL whose host has no form in ASCII") from None
