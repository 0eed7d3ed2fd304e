"""The hosts that an operator named as their own: they may speak http and live at private addresses."""

from collections.abc import Collection

from limner._fetch.faults import FetchError
from limner._fetch.urls import Url, parse_authority


class PlainHosts:
    """Hosts, each with one port (``host:port``) or with any (``host``). Their case does not matter."""

    def __init__(self, entries: Collection[str]) -> None:
        """Raises ValueError for an entry that is not a host."""
        if isinstance(entries, str):
            raise TypeError("plain hosts are a collection of strings, not one string")
        self._entries = frozenset(map(_entry, entries))

    def has(self, url: Url) -> bool:
        """True if the URL is of one of these hosts."""
        return not self._entries.isdisjoint({(url.host, None), (url.host, url.port)})


def _entry(text: str) -> tuple[str, int | None]:
    try:
        return parse_authority(text)
    except FetchError:
        raise ValueError(f"not a plain host: {text!r}; one looks like localhost:8080 or [::1]:8080") from None
