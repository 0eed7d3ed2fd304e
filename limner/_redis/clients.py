"""Clients and pools for an address."""

import socket
from collections.abc import Mapping
from inspect import signature
from pathlib import Path
from typing import Any, Final

import redis
import redis.asyncio
from redis.asyncio import connection as asyncio_connection
from redis.connection import AbstractConnection

from limner._redis.addresses import Address, Kind, parse
from limner._redis.connections import (
    IDLE_SECONDS,
    AsyncSocket,
    AsyncTcp,
    AsyncTls,
    Socket,
    Tcp,
    Tls,
)
from limner._redis.patience import AsyncPatience, Patience
from limner._redis.places import Master, Place, SlotOwner
from limner.errors import ConfigurationError

DEFAULT_TIMEOUT: Final = 5.0
_THREADS: Final = 1_000
"""The most connections of a client that is not told another number."""
_ASYNC_CONNECTIONS: Final = 32
_LEDGER_TAG: Final = "{main}"
"""The hash tag of a ledger's keys, which puts all of them into one slot of a Cluster."""
CLASSES: Final = {"tcp": Tcp, "tls": Tls, "socket": Socket}
_ASYNC_CLASSES: Final = {"tcp": AsyncTcp, "tls": AsyncTls, "socket": AsyncSocket}
_KEEPALIVE: Final = {
    getattr(socket, name): value
    for name, value in {
        # A probe after 15 s of silence, then one each 5 s, and the end after 3 that were not answered.
        "TCP_KEEPIDLE": 15,
        "TCP_KEEPALIVE": 15,
        "TCP_KEEPINTVL": 5,
        "TCP_KEEPCNT": 3,
    }.items()
    if hasattr(socket, name)
}
"""Linux and macOS have different names for the first."""
_FILES: Final = ("ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile")
_SILENT: Final[Mapping[str, Any]] = {
    # The default differs between releases of redis-py, and some proxies do not know HELLO.
    "protocol": 2,
    # Servers and proxies refuse CLIENT SETINFO in many ways, and it only helps.
    **(
        {"driver_info": None}
        if "driver_info" in signature(AbstractConnection).parameters
        else {"lib_name": None, "lib_version": None}
    ),
}
"""Options for a handshake that all servers understand."""


def address_of(url: str, setting: str) -> Address:
    """The address in a URL; raises ConfigurationError, which names the setting and does not show the URL."""
    try:
        at = parse(url)
        _check_tls(at)
    except ValueError as error:
        raise ConfigurationError(
            f"{setting}: not the URL of a Redis: {error}. One looks like redis://:password@host:6379/0, "
            "rediss://…, unix:///path, redis+sentinel://host:26379/mymaster/0 or redis+cluster://host:6379, "
            "with special characters of the password percent-encoded"
        ) from None
    return at


def check_url(url: str, setting: str) -> str:
    """The URL without surrounding space; raises ConfigurationError if it is not the URL of a Redis."""
    address_of(url, setting)
    return url.strip()


def connect(
    url: str,
    *,
    timeout: float = DEFAULT_TIMEOUT,
    setting: str = "LIMNER_REDIS_URL",
    repeat: bool = True,
    connections: int | None = None,
) -> "redis.Redis":
    """A client of the Redis at ``url``, whose calls take about ``timeout`` seconds at most.

    A call on a connection that is gone, or on which the server cannot serve, is repeated on a new one until
    its time is over, unless ``repeat`` is False. A client has at most ``connections``; a call beyond them
    waits for one. Raises ConfigurationError, which names the setting.
    """
    at = address_of(url, setting)
    # The client owns the pool: closing the one closes the connections of the other.
    return redis.Redis.from_pool(make_pool(at, timeout=timeout, repeat=repeat, connections=connections))


def connect_async(
    url: str,
    *,
    timeout: float = DEFAULT_TIMEOUT,
    setting: str = "LIMNER_REDIS_URL",
    connections: int = _ASYNC_CONNECTIONS,
) -> "redis.asyncio.Redis":
    """A client for asyncio, like :func:`connect`."""
    at = address_of(url, setting)
    options = _options(at, timeout)
    make: Any = redis.asyncio.BlockingConnectionPool
    pool = make(
        connection_class=_ASYNC_CLASSES[_class_of(at)],
        max_connections=at.connections or connections,
        timeout=timeout,
        retry=AsyncPatience(timeout),
        retry_on_error=[redis.ConnectionError],
        decode_responses=True,
        **options,
    )
    pool.address = at
    return redis.asyncio.Redis.from_pool(pool)


def make_pool(
    at: Address,
    *,
    timeout: float,
    repeat: bool = True,
    connections: int | None = None,
    decode: bool = True,
    classes: Mapping[str, type] = CLASSES,
) -> "redis.ConnectionPool":
    """A pool of connections to an address, of these ``classes``."""
    options = _options(at, timeout)
    if repeat:
        # redis-py 5 repeats a call only if both the retry and the connection list its error.
        options |= {"retry": Patience(timeout), "retry_on_error": [redis.ConnectionError]}
    make: Any = redis.BlockingConnectionPool
    pool: redis.ConnectionPool = make(
        connection_class=classes[_class_of(at)],
        max_connections=at.connections or connections or _THREADS,
        timeout=timeout,
        decode_responses=decode,
        **options,
    )
    pool.address = at  # type: ignore[attr-defined]
    return pool


def same_database(one: Any, other: Any) -> bool:
    """True if two pools of ours lead to one database, with the same user."""
    ours, theirs = getattr(one, "address", None), getattr(other, "address", None)
    return bool(ours and theirs) and all(
        getattr(ours, name) == getattr(theirs, name)
        for name in ("kind", "hosts", "path", "service", "database", "login")
    )


def address(client: "redis.Redis | redis.asyncio.Redis") -> str:
    """The address of a client's server, without credentials."""
    pool: Any = client.connection_pool
    if known := getattr(pool, "address", None):
        return str(known)
    options = pool.connection_kwargs
    return options.get("path") or f"{options.get('host', 'localhost')}:{options.get('port', 6379)}"


def _class_of(at: Address) -> str:
    return "socket" if at.kind is Kind.SOCKET else "tls" if at.tls else "tcp"


def _options(at: Address, timeout: float) -> dict[str, Any]:
    """The options of each connection."""
    options: dict[str, Any] = {
        "db": at.database,
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        # For subscriptions, whose connections are not tried before a use.
        "health_check_interval": round(IDLE_SECONDS),
        # What is no UTF-8 was written by somebody else, and must not stop a worker that meets it.
        "encoding_errors": "backslashreplace",
        **at.login,
        **_of_network(at),
        **_SILENT,
        **at.options,
        **_of_tls(at),
    }
    if at.idle_seconds:
        options |= {"idle_seconds": at.idle_seconds, "health_check_interval": at.idle_seconds}
    if at.kind is Kind.SOCKET:
        return options | {"path": at.path}
    options |= {"host": at.hosts[0].name, "port": at.hosts[0].port}
    if place := _place(at):
        options["place"] = place
    return options


def _of_network(at: Address) -> dict[str, Any]:
    if at.kind is Kind.SOCKET:
        return {}
    return {"socket_keepalive": True, "socket_keepalive_options": _KEEPALIVE}


def _of_tls(at: Address) -> dict[str, Any]:
    if not at.tls:
        return {}
    given = {name: value for name, value in at.options.items() if name.startswith("ssl_")}
    # redis-py compares the name of the server by default only from version 6 on.
    named = given.get("ssl_check_hostname", True) and given.get("ssl_cert_reqs") != "none"
    return given | {"ssl_check_hostname": named}


def _check_tls(at: Address) -> None:
    if not at.tls:
        return
    known = {*signature(redis.SSLConnection).parameters} & {
        *signature(asyncio_connection.SSLConnection).parameters
    }
    for name, value in at.options.items():
        if name.startswith("ssl_") and name not in known:
            raise ValueError(f"its option {name} needs a newer redis-py than {redis.__version__}")
        if name in _FILES and not Path(value).exists():
            raise ValueError(f"its option {name} names no file that exists")


def _place(at: Address) -> Place | None:
    asking = {**_SILENT, **_of_tls(at)}
    if "socket_connect_timeout" in at.options:
        asking |= dict.fromkeys(
            ("socket_timeout", "socket_connect_timeout"), at.options["socket_connect_timeout"]
        )
    if at.kind is Kind.SENTINEL:
        return Master(at.hosts, at.service, at.tls, asking | dict(at.sentinel_login))
    if at.kind is Kind.CLUSTER:
        return SlotOwner(at.hosts, _LEDGER_TAG, at.tls, asking | dict(at.login))
    return None
