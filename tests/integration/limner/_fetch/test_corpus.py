"""No connection leaves for a forbidden URL of the corpus, and each allowed one is fetched."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import pytest

from limner._fetch import Fetcher, FetchError, FetchFault, Limits
from tests.integration.limner._fetch.certificates import Authority
from tests.integration.limner._fetch.conftest import Leaving
from tests.integration.limner._fetch.corpus import ALLOWED, FORBIDDEN
from tests.integration.limner._fetch.names import NAMES, Names
from tests.integration.limner._fetch.serving import Secured, Tunnel
from tests.integration.provider.raw import Conversation, RawServer, always, http

HOSTS = (*NAMES, "8.8.8.8", "2606:4700::1111")
"""The hosts of the corpus for which the origin behind the proxy has a certificate."""


def short(url: str) -> str:
    return ascii(url)[:60]


def fetch(fetcher: Fetcher, url: str) -> bytes:
    with fetcher.open(url) as download:
        return b"".join(download.pieces())


@pytest.fixture(scope="module")
def origin(authority: Authority) -> Secured:
    names = [host for host in HOSTS if host not in ("no-address.test",)]
    return Secured(authority.server(names), always(http(b"picture")))


@pytest.fixture(scope="module")
def tunnel(origin: Secured) -> Iterator[tuple[Tunnel, RawServer]]:
    script = Tunnel(origin)
    with RawServer(script) as server:
        yield script, server


def test_the_corpus_is_large() -> None:
    assert len(set(FORBIDDEN)) >= 80
    assert len(ALLOWED) >= 20


@pytest.mark.parametrize("url", FORBIDDEN, ids=short)
def test_nothing_leaves_for_a_forbidden_url(url: str, leaving: Leaving) -> None:
    with pytest.raises(FetchError) as caught:
        fetch(Fetcher(Limits(), resolve=Names()), url)
    assert caught.value.fault is FetchFault.FORBIDDEN
    assert (leaving.addresses, leaving.names) == ([], [])


@pytest.mark.parametrize("url", FORBIDDEN, ids=short)
def test_no_proxy_is_asked_for_a_forbidden_url(
    url: str, leaving: Leaving, tunnel: tuple[Tunnel, RawServer]
) -> None:
    _, proxy = tunnel
    before = proxy.connections
    with pytest.raises(FetchError) as caught:
        fetch(Fetcher(Limits(), proxy=proxy.url, resolve=Names()), url)
    assert (caught.value.fault, leaving.addresses) == (FetchFault.FORBIDDEN, [])
    assert proxy.connections == before


@dataclass
class Redirector:
    """A script that redirects every request to the same place."""

    location: str = ""

    def __call__(self, conversation: Conversation) -> None:
        conversation.receive()
        conversation.send(b"HTTP/1.1 302 Found\r\nLocation: %s\r\n\r\n" % self.location.encode())


@pytest.fixture(scope="module")
def redirector() -> Iterator[tuple[Redirector, RawServer]]:
    script = Redirector()
    with RawServer(script) as server:
        yield script, server


RELATIVE: Final = "files.test/a"
"""The one URL of the corpus that is a harmless path in a redirect."""


@pytest.mark.parametrize(
    "location", [url for url in FORBIDDEN if url != RELATIVE and "\ud800" not in url], ids=short
)
def test_no_redirect_leads_to_a_forbidden_url(
    location: str, leaving: Leaving, redirector: tuple[Redirector, RawServer]
) -> None:
    script, server = redirector
    script.location = location
    place = server.url.removeprefix("http://")
    host, _, port = place.partition(":")
    # A header loses the white space around it and ends at a line break, and what is left may be allowed.
    names = Names({**NAMES, "files.test": ["10.0.0.1"]})
    with pytest.raises(FetchError) as caught:
        fetch(Fetcher(Limits(), plain_hosts=[place], resolve=names), f"{server.url}/picture.png")
    # Some are too long for a header, or break it.
    assert caught.value.fault in (FetchFault.FORBIDDEN, FetchFault.MALFORMED)
    assert leaving.addresses == [(host, int(port))]


@pytest.mark.parametrize(("url", "place"), ALLOWED.items(), ids=short)
def test_an_allowed_url_is_fetched_from_its_address(
    url: str, place: str, authority: Authority, origin: Secured, tunnel: tuple[Tunnel, RawServer]
) -> None:
    proxy, server = tunnel
    names = Names()
    fetcher = Fetcher(Limits(), proxy=server.url, resolve=names, tls=authority.client())
    assert fetch(fetcher, url) == b"picture"
    assert proxy.places[-1] == place
    is_address = place.partition(":")[0] in url or "[" in url
    assert len(names.asked) == (0 if is_address else 1)
    assert origin.hosts[-1] == (None if is_address else names.asked[0])
    assert server.requests[-1].split(b"\r\n")[0].isascii()


def test_a_name_that_changes_its_address_is_asked_once(authority: Authority, origin: Secured) -> None:
    answers = iter([["8.8.8.8"], ["127.0.0.1"]])
    asked = list[str]()

    def rebinding(name: str) -> list[str]:
        asked.append(name)
        return next(answers)

    script = Tunnel(origin)
    with RawServer(script) as proxy:
        fetcher = Fetcher(Limits(), proxy=proxy.url, resolve=rebinding, tls=authority.client())
        assert fetch(fetcher, "https://files.test/") == b"picture"
        assert (asked, script.places) == (["files.test"], ["8.8.8.8:443"])
        # The next fetch asks anew, and does not trust what was allowed before.
        with pytest.raises(FetchError) as caught:
            fetch(fetcher, "https://files.test/")
    assert caught.value.fault is FetchFault.FORBIDDEN
    assert (len(asked), proxy.connections) == (2, 1)


def test_a_name_that_changes_its_address_before_a_redirect_is_checked_again(authority: Authority) -> None:
    answers = iter([["8.8.8.8"], ["127.0.0.1"]])

    def rebinding(name: str) -> list[str]:
        return next(answers)

    def redirect(conversation: Conversation) -> None:
        conversation.receive()
        conversation.send(http(b"", status="302 Found", headers="Location: /again\r\n"))

    script = Tunnel(Secured(authority.server(["files.test"]), redirect))
    with RawServer(script) as proxy:
        fetcher = Fetcher(Limits(), proxy=proxy.url, resolve=rebinding, tls=authority.client())
        with pytest.raises(FetchError, match=r"files\.test/again: .*127\.0\.0\.1") as caught:
            fetch(fetcher, "https://files.test/first")
    assert caught.value.fault is FetchFault.FORBIDDEN
    assert script.places == ["8.8.8.8:443"]
