"""The ways to find a server: a fixed host, the master that Sentinels name, the owner of a slot of a Cluster.

Each connection asks anew when it connects, so that it never returns to a server that was replaced.
"""

from typing import Any, Protocol

import redis
import redis.asyncio
from redis.asyncio.sentinel import Sentinel as AsyncSentinel
from redis.crc import key_slot
from redis.sentinel import Sentinel

from limner._redis.addresses import Host


class Place(Protocol):
    """The place of a server that may move."""

    latest: Host | None
    """The server as it was found last."""

    def find(self) -> Host:
        """The server as of now; raises redis.ConnectionError if nobody knows it."""

    async def afind(self) -> Host:
        """:meth:`find` for asynchronous code."""


class Master:
    """The master of a service, as its Sentinels say. ``options`` are those of a connection to a Sentinel."""

    def __init__(self, hosts: tuple[Host, ...], service: str, options: dict[str, Any]) -> None:
        self._hosts = hosts
        self._service = service
        self._options = options
        self.latest: Host | None = None

    def find(self) -> Host:
        """The master that a Sentinel names."""
        sentinel: Any = Sentinel(  # type: ignore[no-untyped-call]
            [tuple(host) for host in self._hosts], sentinel_kwargs=self._options
        )
        try:
            self.latest = Host(*sentinel.discover_master(self._service))
            return self.latest
        finally:
            for client in sentinel.sentinels:
                client.close()

    async def afind(self) -> Host:
        """:meth:`find` for asynchronous code."""
        sentinel: Any = AsyncSentinel(  # type: ignore[no-untyped-call]
            [tuple(host) for host in self._hosts], sentinel_kwargs=self._options
        )
        try:
            self.latest = Host(*await sentinel.discover_master(self._service))
            return self.latest
        finally:
            for client in sentinel.sentinels:
                await client.aclose()


class SlotOwner:
    """The node of a Cluster that owns the slot of a key. All keys of a ledger are in one slot."""

    def __init__(self, hosts: tuple[Host, ...], key: str, options: dict[str, Any]) -> None:
        self._hosts = hosts
        self._slot = key_slot(key.encode())
        self._options = options
        self._known: tuple[Host, ...] = ()
        self.latest: Host | None = None

    def find(self) -> Host:
        """The owner, as the first node says that answers."""
        failure: Exception | None = None
        for host in self._candidates():
            client: Any = redis.Redis(host=host.name, port=host.port, **self._options)
            try:
                return self._owner(client.execute_command("CLUSTER", "SLOTS"), host)
            except (redis.RedisError, OSError) as error:
                failure = error
            finally:
                client.close()
        raise redis.ConnectionError(f"no node of the cluster answers: {failure}") from failure

    async def afind(self) -> Host:
        """:meth:`find` for asynchronous code."""
        failure: Exception | None = None
        for host in self._candidates():
            client: Any = redis.asyncio.Redis(host=host.name, port=host.port, **self._options)
            try:
                return self._owner(await client.execute_command("CLUSTER", "SLOTS"), host)
            except (redis.RedisError, OSError) as error:
                failure = error
            finally:
                await client.aclose()
        raise redis.ConnectionError(f"no node of the cluster answers: {failure}") from failure

    def _candidates(self) -> tuple[Host, ...]:
        return tuple(dict.fromkeys((*self._known, *self._hosts)))

    def _owner(self, slots: Any, asked: Host) -> Host:
        nodes = [_node(entry, asked) for entry in _entries(slots)]
        owners = [
            node
            for entry, node in zip(_entries(slots), nodes, strict=True)
            if entry[0] <= self._slot <= entry[1]
        ]
        if not owners:
            raise redis.ConnectionError(f"the cluster has no node for slot {self._slot}")
        self._known, self.latest = tuple(nodes), owners[0]
        return self.latest


def _entries(slots: Any) -> list[tuple[int, int, Any]]:
    # redis-py reads the reply for its own cluster client: {(first, last): {"primary": (host, port)}}.
    if isinstance(slots, dict):
        return [(first, last, nodes["primary"]) for (first, last), nodes in slots.items()]
    return [(entry[0], entry[1], entry[2]) for entry in slots]


def _node(entry: tuple[int, int, Any], asked: Host) -> Host:
    name, port = entry[2][0], int(entry[2][1])
    text = name.decode() if isinstance(name, bytes) else name
    # A node that does not know its own name leaves it empty: it is the one that was asked.
    return Host(text or asked.name, port)
