"""One reader of URLs: its result is plain ASCII, and reading it again changes nothing."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner._fetch.faults import FetchError, FetchFault
from limner._fetch.urls import Url, follow, parse, parse_authority

BASE = parse("https://files.test/a/b.png?x=1")


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://files.test", Url("https", "files.test", 443, "/", "")),
        ("HTTPS://Files.TEST:443/A", Url("https", "files.test", 443, "/A", "")),
        ("https://files.test:8443/a?b=c/d?e#f", Url("https", "files.test", 8443, "/a", "?b=c/d?e")),
        ("https://files.test?b=c", Url("https", "files.test", 443, "/", "?b=c")),
        ("https://files.test#@evil.test/", Url("https", "files.test", 443, "/", "")),
        ("https://files.test/@evil.test", Url("https", "files.test", 443, "/@evil.test", "")),
        ("http://8.8.8.8/a", Url("http", "8.8.8.8", 80, "/a", "")),
        ("https://[2606:4700:0::1111]:8443/", Url("https", "2606:4700::1111", 8443, "/", "")),
        ("https://bücher.test/é?ü", Url("https", "xn--bcher-kva.test", 443, "/%C3%A9", "?%C3%BC")),
        ("https://a_b.files-1.test/%2e%zz", Url("https", "a_b.files-1.test", 443, "/%2e%zz", "")),
        ('https://files.test/"<>^`{|}', Url("https", "files.test", 443, "/%22%3C%3E%5E%60%7B%7C%7D", "")),
    ],
)
def test_a_url_is_read(text: str, url: Url) -> None:
    assert parse(text) == url


@pytest.mark.parametrize(
    "text",
    [
        "",
        "files.test/a",
        "//files.test/a",
        "https:/files.test",
        "https:files.test",
        "https:///a",
        "https://:443/",
        "https://files.test:/",
        "https://files.test:0/",
        "https://files.test:0443/",
        "https://files.test:65536/",
        "https://files.test:٤٤٣/",
        "https://files.test:443:443/",
        "https://files.test./",
        "https://files..test/",
        "https://.files.test/",
        "https://-files.test/",
        "https://files%2etest/",
        "https://files.test%00.evil.test/",
        "https://user@files.test/",
        "https://@files.test/",
        "https://files.test\\@evil.test/",
        " https://files.test/",
        "https://files.test/\n",
        "https://files.test/a b",
        "https://files.test/\u2028",
        "https://files.test/\u200b",
        "https://files.test/\ud800",
        "https://[::1",
        "https://::1/",
        "https://[::1]x/",
        "https://[fe80::1%25eth0]/",
        "https://[127.0.0.1]/",
        "https://stra\u00dfe.test/",
        "https://\u03b2\u03cc\u03bb\u03bf\u03c2.test/",
        "https://127.1/",
        "https://\uff11\uff12\uff17.1/",
        "https://0x7f.1/",
        "https://files.0x/",
        "https://1.2.3.4.5/",
        "https://01.2.3.4/",
        "https://xn--\u00fc.test/",
        f"https://{'a' * 64}.test/",
        f"https://{'ü' * 64}.test/",
        f"https://{'a.' * 130}test/",
        f"https://files.test/{'a' * 8192}",
        f"https://files.test/{'é' * 4000}",
        "ftp://files.test/",
        "file:///etc/passwd",
    ],
)
def test_a_url_that_can_be_read_in_two_ways_is_refused(text: str) -> None:
    with pytest.raises(FetchError) as caught:
        parse(text)
    assert caught.value.fault is FetchFault.FORBIDDEN


def test_a_login_is_named_as_the_reason() -> None:
    with pytest.raises(FetchError, match="user information"):
        parse("https://user:password@files.test/")


def test_wide_digits_are_the_address_that_they_spell() -> None:
    assert parse("https://\uff11\uff12\uff17\u3002\uff10\uff0e0.\uff11/").host == "127.0.0.1"


URLS = st.one_of(
    st.text(max_size=60).map("https://{}".format),
    st.text("/?#@:[]\\%.0x1a-é ", max_size=60).map("https://{}".format),
    st.tuples(
        st.from_regex(r"[a-z0-9]{1,9}(\.[a-z0-9]{1,9}){0,3}", fullmatch=True), st.text(max_size=60)
    ).map(lambda parts: f"https://{parts[0]}/{parts[1]}"),
)


@given(URLS)
def test_what_was_read_is_plain_and_reads_the_same_again(text: str) -> None:
    try:
        url = parse(text)
    except FetchError:
        return
    assert re.fullmatch(r"[!-~]+", str(url))
    assert "\\" not in str(url)
    assert parse(str(url)) == url


@pytest.mark.parametrize(
    ("location", "leads_to"),
    [
        ("https://other.test/c", "https://other.test/c"),
        ("HTTP://other.test/c", "http://other.test/c"),
        ("//other.test/c", "https://other.test/c"),
        ("/c?d#e", "https://files.test/c?d"),
        ("c?d", "https://files.test/a/c?d"),
        ("../c", "https://files.test/a/../c"),
        ("?d", "https://files.test/a/b.png?d"),
        ("/c:d", "https://files.test/c:d"),
    ],
)
def test_a_redirect_leads_from_its_base(location: str, leads_to: str) -> None:
    assert str(follow(BASE, location)) == leads_to


@pytest.mark.parametrize(
    "location",
    [
        "",
        "#a",
        "///evil.test/",
        "https:evil.test",
        "https:/evil.test",
        "javascript:a",
        "c:d",
        "/\\evil.test",
        "/\tc",
    ],
)
def test_a_redirect_that_can_be_read_in_two_ways_is_refused(location: str) -> None:
    with pytest.raises(FetchError) as caught:
        follow(BASE, location)
    assert caught.value.fault is FetchFault.FORBIDDEN


def test_a_log_sees_no_query_and_only_the_beginning_of_a_path() -> None:
    assert parse("https://files.test:8443/a?token=1#b").shown == "https://files.test:8443/a"
    assert parse(f"https://files.test/{'a' * 100}").shown == f"https://files.test/{'a' * 39}…"


@pytest.mark.parametrize(
    "text", ["https://user:secret@files.test/", "https://files.test:x/?secret", "secret://a/"]
)
def test_a_refusal_says_nothing_of_the_url(text: str) -> None:
    with pytest.raises(FetchError) as caught:
        parse(text)
    assert "secret" not in str(caught.value)
    assert "files" not in str(caught.value)


def test_a_host_header_has_the_port_only_if_it_is_not_the_schemes_own() -> None:
    assert parse("https://files.test:443/").authority == "files.test"
    assert parse("https://files.test:80/").authority == "files.test:80"
    assert parse("https://[2606:4700::1111]:8443/").authority == "[2606:4700::1111]:8443"


def test_an_authority_has_a_port_or_none() -> None:
    assert parse_authority("Files.test") == ("files.test", None)
    assert parse_authority("[::1]:8080") == ("::1", 8080)
