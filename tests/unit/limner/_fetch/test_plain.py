"""A host is plain only if the operator named exactly it."""

import pytest

from limner._fetch.plain import PlainHosts
from limner._fetch.urls import parse

HOSTS = PlainHosts(["Localhost:8080", "files.test", "[::1]:9000", "10.0.0.5", "web.test:80"])


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:8080/a",
        "https://LOCALHOST:8080/",
        "http://files.test/",
        "http://web.test/",
        "https://files.test:9/",
        "http://[0:0::1]:9000/",
        "http://10.0.0.5:1234/",
    ],
)
def test_a_named_host_is_plain(url: str) -> None:
    assert HOSTS.has(parse(url))


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost/",
        "http://web.test:8080/",
        "http://localhost:8081/",
        "http://a.files.test/",
        "http://files.test.evil.test/",
        "http://[::1]/",
        "http://10.0.0.50/",
    ],
)
def test_any_other_host_is_not(url: str) -> None:
    assert not HOSTS.has(parse(url))


@pytest.mark.parametrize(
    "entry", ["", "http://files.test", "files.test/a", "user@files.test", "*.files.test", "::1"]
)
def test_an_entry_that_is_no_host_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match="not a plain host"):
        PlainHosts([entry])


def test_one_string_is_no_collection_of_hosts() -> None:
    with pytest.raises(TypeError):
        PlainHosts("files.test")
