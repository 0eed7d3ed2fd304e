"""The ways to find a server: a fixed host, the master that Sentinels name, the owner of a slot of a Cluster.

Each connection asks anew when it connects, so that it never returns to a server that was replaced. Those who
may know are asked in turn, first the one that knew it last. Each has half a second for a step, so that two
that are dead or frozen cost a second.
"""

from collections.abc import Mapping
from typing import Any, Final, Protocol

import redis
import redis.asyncio
from redis.asyncio import connection as asyncio_connection
from redis.crc import key_slot

from limner._redis.addresses import Host
from limner._redis.faults import NotFound, cause, is_final, without_arguments

STEP_SECONDS: Final = 0.5
"""The longest time to connect to one of those who may know, and the longest for its answer."""
_GIVEN_UP: Final = frozenset({"s_down", "o_down"})
"""Flags of a master without an answer. Its Sentinels name another one soon."""


class Place(Protocol):
    """The place of a server that may move."""

    latest: Host | None
    """The server as it was found last."""

    def find(self) -> Host:
        """The server as of now; raises redis.ConnectionError if nobody knows it."""

    async def afind(self) -> Host:
        """:meth:`find` for asynchronous code."""

    def doubt(self) -> None:
        """Ask another one first the next time: what was found says that it is not the server."""


class _Known:
    """A server that others know. ``options`` are those of a connection to one of them."""

    _question: tuple[str, ...]

    def __init__(self, hosts: tuple[Host, ...], tls: bool, options: Mapping[str, Any]) -> None:
        self._hosts = hosts
        self._tls = tls
        self._options = {
            "socket_timeout": STEP_SECONDS,
            "socket_connect_timeout": STEP_SECONDS,
            **options,
            # Replies have other shapes in the protocol 3.
            "protocol": 2,
            "decode_responses": True,
        }
        self.latest: Host | None = None

    def find(self) -> Host:
        """The server as of now, as the first one says that knows it."""
        make: Any = redis.SSLConnection if self._tls else redis.Connection
        failures: dict[Host, Exception] = {}
        for host in self._hosts:
            connection = make(host=host.name, port=host.port, **self._options)
            try:
                connection.connect()
                connection.send_command(*self._question)
                return self._keep(self._read(connection.read_response(), host), host)
            except (redis.RedisError, OSError) as error:
                without_arguments(error)
                failures[host] = error
            finally:
                connection.disconnect()
        raise _failure(failures)

    async def afind(self) -> Host:
        """:meth:`find` for asynchronous code."""
        make: Any = asyncio_connection.SSLConnection if self._tls else asyncio_connection.Connection
        failures: dict[Host, Exception] = {}
        for host in self._hosts:
            connection = make(host=host.name, port=host.port, **self._options)
            try:
                await connection.connect()
                await connection.send_command(*self._question)
                return self._keep(self._read(await connection.read_response(), host), host)
            except (redis.RedisError, OSError) as error:
                without_arguments(error)
                failures[host] = error
            finally:
                await connection.disconnect(nowait=True)
        raise _failure(failures)

    def doubt(self) -> None:
        """Ask another one first the next time."""
        self._hosts = (*self._hosts[1:], *self._hosts[:1])

    def _keep(self, server: Host, knew: Host) -> Host:
        self._hosts = tuple(dict.fromkeys((knew, *self._hosts)))
        self.latest = server
        return server

    def _read(self, answer: Any, asked: Host) -> Host:
        """The server in an answer; raises redis.ConnectionError if it names none."""
        raise NotImplementedError


class Master(_Known):
    """The master of a service, as its Sentinels say."""

    def __init__(self, hosts: tuple[Host, ...], service: str, tls: bool, options: Mapping[str, Any]) -> None:
        super().__init__(hosts, tls, options)
        self._question = ("SENTINEL", "MASTER", service)

    def _read(self, answer: Any, _: Host) -> Host:
        fields = dict(zip(answer[::2], answer[1::2], strict=True))
        if given_up := _GIVEN_UP & set(fields["flags"].split(",")):
            raise NotFound(f"its master is {', '.join(sorted(given_up))}")
        return Host(fields["ip"], int(fields["port"]))


class SlotOwner(_Known):
    """The node of a Cluster that owns the slot of a key. All keys of a ledger are in one slot."""

    _question = ("CLUSTER", "SLOTS")

    def __init__(self, hosts: tuple[Host, ...], key: str, tls: bool, options: Mapping[str, Any]) -> None:
        super().__init__(hosts, tls, options)
        self._slot = key_slot(key.encode())
        self._given = hosts

    def _read(self, answer: Any, asked: Host) -> Host:
        owners = {(first, last): _node(node, asked) for first, last, node, *_ in answer}
        for (first, last), owner in owners.items():
            if first <= self._slot <= last:
                # Nodes come and go: those of the URL may all have left.
                self._hosts = tuple(dict.fromkeys((asked, *owners.values(), *self._given)))
                return owner
        raise NotFound(f"the cluster has no node for slot {self._slot}")


def _node(node: Any, asked: Host) -> Host:
    # A node that does not know its own name leaves it empty: it is the one that was asked.
    return Host(node[0] or asked.name, int(node[1]))


def _failure(failures: Mapping[Host, Exception]) -> Exception:
    if all(map(is_final, failures.values())):
        return next(iter(failures.values()))
    return NotFound("; ".join(f"{host} {_words(error)}" for host, error in failures.items()))


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, NotFound | redis.ResponseError) else cause(error)
