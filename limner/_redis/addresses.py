"""URLs of a Redis: one dialect for producers, the fleet, and Celery's connections.

Understood are redis-py's URLs with their options, Celery's spellings of them, and two schemes for servers
that are found by asking: ``redis+sentinel://host:26379,host:26379/mymaster/0`` and
``redis+cluster://host:6379,host:6379``. An option without a meaning here is refused by its name.
"""

import math
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, NamedTuple
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit


class Kind(Enum):
    """The way to the server."""

    TCP = "tcp"
    SOCKET = "socket"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


class Host(NamedTuple):
    """A host and its port."""

    name: str
    port: int

    def __str__(self) -> str:
        return f"[{self.name}]:{self.port}" if ":" in self.name else f"{self.name}:{self.port}"


@dataclass(frozen=True, slots=True)
class Address:
    """The address of a Redis, as its URL says. It shows no password."""

    kind: Kind
    hosts: tuple[Host, ...] = ()
    """The server; of a Sentinel or Cluster, those that are asked for it."""
    path: str = ""
    """The socket."""
    service: str = ""
    """The name by which Sentinels know the server."""
    database: int = 0
    tls: bool = False
    login: Mapping[str, str] = field(default_factory=dict, repr=False)
    """``username`` and ``password``."""
    sentinel_login: Mapping[str, str] = field(default_factory=dict, repr=False)
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Options of the connection, by redis-py's names."""
    connections: int | None = None
    """The most connections of a client."""
    idle_seconds: float | None = None
    """The time without an answer after which a connection is tried before it is used."""

    def __str__(self) -> str:
        where = self.path or ",".join(map(str, self.hosts))
        return f"{self.service} of the Sentinels {where}" if self.service else where


_SCHEMES: Final[Mapping[str, tuple[Kind, bool]]] = {
    "redis": (Kind.TCP, False),
    "rediss": (Kind.TCP, True),
    "unix": (Kind.SOCKET, False),
    "redis+socket": (Kind.SOCKET, False),
    "redis+sentinel": (Kind.SENTINEL, False),
    "rediss+sentinel": (Kind.SENTINEL, True),
    "redis+cluster": (Kind.CLUSTER, False),
    "rediss+cluster": (Kind.CLUSTER, True),
}
SCHEMES: Final = frozenset(_SCHEMES)
_PORTS: Final = {Kind.TCP: 6379, Kind.SENTINEL: 26379, Kind.CLUSTER: 6379}


def parse(url: str) -> Address:
    """The address in a URL; raises ValueError, whose text has no part of the URL but names of options."""
    parts = _split(url)
    if parts.scheme not in _SCHEMES:
        raise ValueError(
            "must begin with redis://, rediss://, unix://, redis+sentinel:// or redis+cluster://"
        )
    kind, tls = _SCHEMES[parts.scheme]
    if parts.fragment:
        raise ValueError("has a #, after which nothing counts")
    given = _options(parts.query, kind, tls)
    credentials, _, where = parts.netloc.rpartition("@")
    service, database = _path(parts, kind)
    if kind is Kind.SOCKET and not parts.path.strip("/"):
        raise ValueError("names no socket")
    if kind is Kind.SOCKET and where:
        raise ValueError("names a host before the path of its socket: three slashes belong there")
    if kind in {Kind.SENTINEL, Kind.CLUSTER} and not where:
        raise ValueError("names no host")
    if kind is Kind.TCP and "," in where:
        raise ValueError("names several hosts: those belong to redis+sentinel:// or redis+cluster://")
    named = given.pop("database", None)
    return Address(
        kind,
        hosts=() if kind is Kind.SOCKET else _hosts(where, _PORTS[kind]),
        path=unquote(parts.path) if kind is Kind.SOCKET else "",
        service=service,
        database=database if named is None else named,
        tls=tls,
        login=_login(credentials),
        sentinel_login={
            name.removeprefix("sentinel_"): given.pop(name)
            for name in ("sentinel_username", "sentinel_password")
            if name in given
        },
        connections=given.pop("connections", None),
        idle_seconds=given.pop("idle_seconds", None),
        options=given,
    )


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url.strip())
    except (AttributeError, ValueError):
        raise ValueError("is not a URL") from None


def _path(parts: SplitResult, kind: Kind) -> tuple[str, int]:
    """The service and the database that the path names."""
    if kind is Kind.SOCKET:
        return "", 0
    steps = [unquote(step) for step in parts.path.strip("/").split("/") if step]
    service = ""
    if kind is Kind.SENTINEL:
        if not steps:
            raise ValueError("names no service, as in redis+sentinel://host:26379/mymaster/0")
        service = steps.pop(0)
    if len(steps) > 1 or (steps and not steps[0].isdecimal()):
        raise ValueError("has a database that is not a number")
    database = int(steps[0]) if steps else 0
    if kind is Kind.CLUSTER and database:
        raise ValueError("has a database, and a Redis Cluster has only the database 0")
    return service, database


def _hosts(where: str, port: int) -> tuple[Host, ...]:
    return tuple(_host(each, port) for each in where.split(",")) if where else (Host("localhost", port),)


def _host(text: str, port: int) -> Host:
    try:
        parts = urlsplit(f"//{text}")
        found = parts.port
    except ValueError:
        raise ValueError("has a port that is not a number from 1 to 65535") from None
    if not parts.hostname or parts.path or found == 0:
        raise ValueError("has a host without a name")
    # redis-py takes an escaped host, as of a name with an underscore.
    return Host(unquote(parts.hostname), found or port)


def _login(credentials: str) -> dict[str, str]:
    username, colon, password = credentials.partition(":")
    if not colon and username:
        raise ValueError("has a user without a password")
    login = {"username": unquote(username), "password": unquote(password)}
    return {name: value for name, value in login.items() if value}


# Options


def _number(text: str) -> int:
    return int(text)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds <= 3600:
        raise ValueError
    return seconds


def _interval(text: str) -> float:
    # redis-py's 0 means never.
    return _seconds(text) if float(text) else math.inf


def _count(text: str) -> int:
    count = int(text)
    if not 1 <= count <= 100_000:
        raise ValueError
    return count


def _protocol(text: str) -> int:
    if text not in {"2", "3"}:
        raise ValueError
    return int(text)


def _database(text: str) -> int:
    if not text.isdecimal():
        raise ValueError
    return int(text)


def _switch(text: str) -> bool:
    known = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False}
    return {**known, "off": False}[text.lower()]


def _text(text: str) -> str:
    if not text or not text.isprintable():
        raise ValueError
    return text


def _name(text: str) -> str:
    # Redis takes no others in CLIENT SETNAME.
    if not text or any(not "!" <= character <= "~" for character in text):
        raise ValueError
    return text


def _requirement(text: str) -> str:
    """A requirement on certificates, in redis-py's or Celery's spelling."""
    word = text.lower().removeprefix("cert_")
    if word not in {"none", "optional", "required"}:
        raise ValueError
    return word


def _tls_version(text: str) -> ssl.TLSVersion:
    return ssl.TLSVersion(int(text)) if text.isdecimal() else ssl.TLSVersion[text]


_EVERYWHERE: Final[Mapping[str, tuple[str, Callable[[str], Any]]]] = {
    "client_name": ("client_name", _name),
    "health_check_interval": ("idle_seconds", _interval),
    "max_connections": ("connections", _count),
    "protocol": ("protocol", _protocol),
    "socket_timeout": ("socket_timeout", _seconds),
    "socket_connect_timeout": ("socket_connect_timeout", _seconds),
}
"""Options for all schemes: the name and the reading of each."""
_KEEPALIVE: Final = {"socket_keepalive": ("socket_keepalive", _switch)}
_DATABASES: Final = {"db": ("database", _database), "virtual_host": ("database", _database)}
_SENTINEL: Final = {
    "sentinel_username": ("sentinel_username", _text),
    "sentinel_password": ("sentinel_password", _text),
}
_TLS: Final[Mapping[str, tuple[str, Callable[[str], Any]]]] = {
    "ssl_cert_reqs": ("ssl_cert_reqs", _requirement),
    "ssl_ca_certs": ("ssl_ca_certs", _text),
    "ssl_ca_path": ("ssl_ca_path", _text),
    "ssl_certfile": ("ssl_certfile", _text),
    "ssl_keyfile": ("ssl_keyfile", _text),
    "ssl_check_hostname": ("ssl_check_hostname", _switch),
    "ssl_min_version": ("ssl_min_version", _tls_version),
    "ssl_ciphers": ("ssl_ciphers", _text),
}
_MEANINGLESS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("username", "password"), "belongs before the @ of the URL"),
    **dict.fromkeys(
        ("retry_on_timeout", "retry_on_error", "retry"), "has no meaning: Limner repeats its calls by itself"
    ),
    **dict.fromkeys(
        ("decode_responses", "encoding", "encoding_errors"),
        "has no meaning: Limner reads its own data",
    ),
    "timeout": "has no meaning: LIMNER_REDIS_TIMEOUT_SECONDS is the time of a call",
}


def _options(query: str, kind: Kind, tls: bool) -> dict[str, Any]:
    known = {
        **_EVERYWHERE,
        **({} if kind is Kind.SOCKET else _KEEPALIVE),
        **({} if kind is Kind.CLUSTER else _DATABASES),
        **(_SENTINEL if kind is Kind.SENTINEL else {}),
        **(_TLS if tls else {}),
    }
    options: dict[str, Any] = {}
    for given, value in parse_qsl(query, keep_blank_values=True):
        name = given if given.isidentifier() and len(given) <= 40 else "of its query"
        if given not in known:
            reason = _MEANINGLESS.get(given) or _elsewhere(given, kind) or "is not known"
            raise ValueError(f"its option {name} {reason}")
        option, read = known[given]
        try:
            options[option] = read(value)
        except (KeyError, ValueError):
            raise ValueError(f"its option {name} has a wrong value") from None
    return options


def _elsewhere(name: str, kind: Kind) -> str:
    if name in _TLS:
        return "has a meaning only with TLS: the URL must begin with rediss"
    if name in _SENTINEL:
        return "has a meaning only with redis+sentinel://"
    if name in _KEEPALIVE or name in _DATABASES:
        return f"has no meaning for a {kind.value}"
    return ""
