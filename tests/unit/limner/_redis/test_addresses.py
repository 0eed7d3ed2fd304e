"""URLs of a Redis: what each means, and why one is refused. No connection is made."""

import math
import ssl
from typing import Any

import pytest

from limner._redis import Address, Kind, check_url, parse
from limner.errors import ConfigurationError


@pytest.mark.parametrize(
    ("url", "kind", "where", "database", "tls"),
    [
        ("redis://", Kind.TCP, "localhost:6379", 0, False),
        ("redis://host", Kind.TCP, "host:6379", 0, False),
        (" redis://host:6380/3\n", Kind.TCP, "host:6380", 3, False),
        ("redis://host/3?db=4", Kind.TCP, "host:6379", 4, False),
        ("redis://host?virtual_host=5", Kind.TCP, "host:6379", 5, False),
        ("rediss://[::1]:7000/1", Kind.TCP, "[::1]:7000", 1, True),
        ("redis://my%5fredis", Kind.TCP, "my_redis:6379", 0, False),
        ("unix:///run/redis.sock?db=2", Kind.SOCKET, "/run/redis.sock", 2, False),
        ("redis+socket:///run/redis.sock?virtual_host=2", Kind.SOCKET, "/run/redis.sock", 2, False),
        ("redis+sentinel://a,b:1/mymaster", Kind.SENTINEL, "mymaster of the Sentinels a:26379,b:1", 0, False),
        ("rediss+sentinel://a/my/2", Kind.SENTINEL, "my of the Sentinels a:26379", 2, True),
        ("redis+cluster://a:1,[::1]", Kind.CLUSTER, "a:1,[::1]:6379", 0, False),
        ("rediss+cluster://a/0", Kind.CLUSTER, "a:6379", 0, True),
    ],
)
def test_a_url_leads_to_a_server(url: str, kind: Kind, where: str, database: int, tls: bool) -> None:
    at = parse(url)
    assert (at.kind, str(at), at.database, at.tls) == (kind, where, database, tls)


@pytest.mark.parametrize(
    ("url", "login"),
    [
        ("redis://host", {}),
        ("redis://:p%40ss%2Fword@host", {"password": "p@ss/word"}),
        ("redis://user:hush@host", {"username": "user", "password": "hush"}),
        ("unix://:hush@/run/redis.sock", {"password": "hush"}),
        ("redis+sentinel://:hush@a,b/mymaster", {"password": "hush"}),
    ],
)
def test_a_url_holds_the_login(url: str, login: dict[str, str]) -> None:
    assert parse(url).login == login


def test_sentinels_have_a_login_of_their_own() -> None:
    at = parse("redis+sentinel://:hush@a/mymaster?sentinel_username=u&sentinel_password=gu%26ard")
    assert at.sentinel_login == {"username": "u", "password": "gu&ard"}
    assert at.options == {}


@pytest.mark.parametrize(
    ("option", "name", "value"),
    [
        ("client_name=shop-1", "client_name", "shop-1"),
        ("protocol=3", "protocol", 3),
        ("socket_timeout=2.5", "socket_timeout", 2.5),
        ("socket_connect_timeout=1", "socket_connect_timeout", 1.0),
        ("socket_keepalive=no", "socket_keepalive", False),
        ("socket_keepalive=True", "socket_keepalive", True),
        ("ssl_cert_reqs=none", "ssl_cert_reqs", "none"),
        ("ssl_cert_reqs=CERT_NONE", "ssl_cert_reqs", "none"),
        ("ssl_cert_reqs=CERT_REQUIRED", "ssl_cert_reqs", "required"),
        ("ssl_cert_reqs=optional", "ssl_cert_reqs", "optional"),
        ("ssl_ca_certs=/etc/ca.pem", "ssl_ca_certs", "/etc/ca.pem"),
        ("ssl_check_hostname=false", "ssl_check_hostname", False),
        ("ssl_min_version=TLSv1_3", "ssl_min_version", ssl.TLSVersion.TLSv1_3),
        ("ssl_min_version=771", "ssl_min_version", ssl.TLSVersion.TLSv1_2),
    ],
)
def test_an_option_is_read_as_its_kind(option: str, name: str, value: Any) -> None:
    assert parse(f"rediss://host?{option}").options == {name: value}


def test_some_options_are_ours() -> None:
    at = parse("redis://host?max_connections=7&health_check_interval=30")
    assert (at.connections, at.idle_seconds, at.options) == (7, 30.0, {})
    assert parse("redis://host?health_check_interval=0").idle_seconds == math.inf


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "must begin with redis://"),
        ("host:6379", "must begin with redis://"),
        ("http://:hush@host", "must begin with redis://"),
        ("sentinel://:hush@host", "must begin with redis://"),
        ("redis://[:hush", "is not a URL"),
        ("redis://:hush@host:port/0", "a port that is not a number"),
        ("redis://:hush@host:70000/0", "a port that is not a number"),
        ("redis://:hu/sh@host", "a database that is not a number"),
        ("redis://:hush@host/zero", "a database that is not a number"),
        ("redis://:hush@host/0/1", "a database that is not a number"),
        ("redis://:hush@host/0#1", "has a #"),
        ("redis://hush@host", "a user without a password"),
        ("redis://:hush@:6379", "a host without a name"),
        ("redis://:hush@a,b", "names several hosts"),
        ("unix://", "names no socket"),
        ("unix://:hush@run/redis.sock", "three slashes"),
        ("redis+sentinel://:hush@a,b", "names no service"),
        ("redis+sentinel:///mymaster", "names no host"),
        ("redis+sentinel://:hush@a,,b/mymaster", "a host without a name"),
        ("redis+cluster://", "names no host"),
        ("redis+cluster://:hush@a/1", "only the database 0"),
        ("redis://host?socket_timeout=hush", "its option socket_timeout has a wrong value"),
        ("redis://host?socket_timeout=0", "its option socket_timeout has a wrong value"),
        ("redis://host?socket_timeout=nan", "its option socket_timeout has a wrong value"),
        ("redis://host?max_connections=0", "its option max_connections has a wrong value"),
        ("redis://host?protocol=4", "its option protocol has a wrong value"),
        ("redis://host?client_name=a%20b", "its option client_name has a wrong value"),
        ("redis://host?health_check_interval=-1", "its option health_check_interval has a wrong value"),
        ("redis://host?socket_keepalive=hush", "its option socket_keepalive has a wrong value"),
        ("redis://host?db=-1", "its option db has a wrong value"),
        ("rediss://host?ssl_cert_reqs=maybe", "its option ssl_cert_reqs has a wrong value"),
        ("rediss://host?ssl_min_version=SSL", "its option ssl_min_version has a wrong value"),
        ("redis://host?password=hush", "its option password belongs before the @"),
        ("redis://host?retry_on_timeout=1", "its option retry_on_timeout has no meaning"),
        ("redis://host?decode_responses=1", "its option decode_responses has no meaning"),
        ("redis://host?timeout=1", "LIMNER_REDIS_TIMEOUT_SECONDS"),
        ("redis://host?ssl_cert_reqs=none", "its option ssl_cert_reqs has a meaning only with TLS"),
        (
            "redis://host?sentinel_password=hush",
            "its option sentinel_password has a meaning only with redis+sent",
        ),
        (
            "unix:///run/redis.sock?socket_keepalive=1",
            "its option socket_keepalive has no meaning for a socket",
        ),
        ("redis+cluster://host?db=1", "its option db has no meaning for a cluster"),
        ("redis://host?colour=hush", "its option colour is not known"),
        ("redis://host?hu%20sh=1", "its option of its query is not known"),
    ],
)
def test_what_cannot_be_is_refused_with_its_reason_and_without_the_url(url: str, words: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        check_url(url, "THE_SETTING")
    text = str(refused.value)
    assert text.startswith("THE_SETTING: not the URL of a Redis: ")
    assert words in text
    assert "hush" not in text.lower()


@pytest.mark.parametrize(
    "url",
    [
        "redis://user:hush@host?client_name=a",
        "redis+sentinel://:hush@a/mymaster?sentinel_password=hush",
    ],
)
def test_an_address_shows_no_secret(url: str) -> None:
    at: Address = parse(url)
    assert "hush" not in f"{at} {at!r}"


def test_a_certificate_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="ssl_ca_certs names no file that exists"):
        check_url("rediss://host?ssl_ca_certs=/nowhere/ca.pem", "THE_SETTING")
