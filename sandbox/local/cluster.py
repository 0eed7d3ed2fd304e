"""A cluster of masters, and the moves of its slots."""

import contextlib
import secrets
from types import TracebackType
from typing import Final, Self

from redis.crc import key_slot

from sandbox.local.commands import says, wait_until
from sandbox.local.ports import HOST, free_port
from sandbox.local.valkey import EmbeddedValkey, ValkeyError

__all__ = ["Cluster", "SlotMove"]

SLOTS: Final = 16384
NODE_TIMEOUT_MS: Final = 5000
MIGRATE_MS: Final = 5000


class Cluster:
    """Masters without replicas that share all slots and one password, as a context manager::

    with Cluster(nodes=3) as cluster:
        redis.RedisCluster(host="127.0.0.1", port=cluster.nodes[0].port, password=cluster.password)
        cluster.move_slot("limner:{main}:meta")
    """

    def __init__(self, *, nodes: int = 3, appendonly: bool = True) -> None:
        self.password = secrets.token_hex(16)
        self._stack = contextlib.ExitStack()
        self._bus_ports = [free_port() for _ in range(nodes)]
        self.nodes = [
            EmbeddedValkey(
                aof=appendonly,
                password=self.password,
                configuration=[
                    "cluster-enabled yes",
                    f"cluster-port {bus_port}",
                    f"cluster-announce-ip {HOST}",  # a node that was never met does not know its address
                    f"cluster-node-timeout {NODE_TIMEOUT_MS}",
                    f"masterauth {self.password}",  # one node asks another for its slots with this password
                ],
            )
            for bus_port in self._bus_ports
        ]

    @property
    def url(self) -> str:
        """The URL with all nodes."""
        hosts = ",".join(f"{HOST}:{node.port}" for node in self.nodes)
        return f"redis+cluster://:{self.password}@{hosts}"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> Self:
        """Start the nodes, share the slots among them, and wait until each says that the cluster is ok."""
        try:
            for node in self.nodes:
                self._stack.enter_context(node)
            for number, node in enumerate(self.nodes):
                first, after = (SLOTS * place // len(self.nodes) for place in (number, number + 1))
                self.ask(node, "CLUSTER", "ADDSLOTSRANGE", first, after - 1)
                # Without it all begin with the same epoch, and the cluster is ok only when they differ.
                self.ask(node, "CLUSTER", "SET-CONFIG-EPOCH", number + 1)
                self.ask(self.nodes[0], "CLUSTER", "MEET", HOST, node.port, self._bus_ports[number])
            for node in self.nodes:
                wait_until(lambda: self._is_ok(node), "the cluster is ok")  # noqa: B023
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop all nodes."""
        self._stack.close()

    def ask(self, node: EmbeddedValkey, *command: str | int) -> object:
        """A node's answer to a command. Raises the errors of redis-py, such as MOVED."""
        return says(node.port, self.password, *command)

    def node_of(self, key: str) -> EmbeddedValkey:
        """The node that owns the key's slot, in the view of the first node."""
        return self._owner(slot_of(key))

    def slot_move(self, key: str, target: EmbeddedValkey | None = None) -> "SlotMove":
        """A move of the key's slot to ``target``, or to the node after its owner, that has not begun."""
        slot = slot_of(key)
        source = self._owner(slot)
        return SlotMove(self, slot, source, target or self._after(source))

    def move_slot(self, key: str, target: EmbeddedValkey | None = None, *, keys: int = 10) -> None:
        """Move the key's slot from beginning to end, some ``keys`` at a time, while it is in use."""
        move = self.slot_move(key, target)
        move.start()
        while move.move(keys):
            pass
        move.finish()

    def move_slot_atomically(self, key: str, target: EmbeddedValkey | None = None) -> None:
        """Move the key's slot by CLUSTER MIGRATESLOTS, and wait for its end.

        Valkey has the command from version 9 on.
        """
        slot = slot_of(key)
        source = self._owner(slot)
        target = target or self._after(source)
        self.ask(source, "CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", self.id_of(target))
        wait_until(
            lambda: all(self._owner(slot, node) is target for node in self.nodes), "the slot has moved"
        )

    def id_of(self, node: EmbeddedValkey) -> str:
        """The node's name within the cluster."""
        return str(self.ask(node, "CLUSTER", "MYID"))

    def _after(self, node: EmbeddedValkey) -> EmbeddedValkey:
        return self.nodes[(self.nodes.index(node) + 1) % len(self.nodes)]

    def _owner(self, slot: int, asked: EmbeddedValkey | None = None) -> EmbeddedValkey:
        ranges = says((asked or self.nodes[0]).port, self.password, "CLUSTER", "SLOTS")
        for first, last, (_, port, *_rest) in ranges:
            if first <= slot <= last:
                return next(node for node in self.nodes if node.port == port)
        raise ValkeyError(f"No node has the slot {slot}.")

    def _is_ok(self, node: EmbeddedValkey) -> bool:
        lines = str(self.ask(node, "CLUSTER", "INFO")).split()
        return {"cluster_state:ok", f"cluster_known_nodes:{len(self.nodes)}"} <= set(lines)


class SlotMove:
    """One slot's move from node to node, step by step, so that others can meet the cluster in between.

    From :meth:`start` to :meth:`finish`, the source answers ASK for keys that it has no more.
    """

    def __init__(self, cluster: Cluster, slot: int, source: EmbeddedValkey, target: EmbeddedValkey) -> None:
        self._cluster = cluster
        self.slot = slot
        self.source = source
        self.target = target

    def start(self) -> None:
        """Mark the slot as leaving the source for the target."""
        ask, slot = self._cluster.ask, self.slot
        ask(self.target, "CLUSTER", "SETSLOT", slot, "IMPORTING", self._cluster.id_of(self.source))
        ask(self.source, "CLUSTER", "SETSLOT", slot, "MIGRATING", self._cluster.id_of(self.target))

    def move(self, keys: int = 10) -> int:
        """Move some keys. Returns how many there were, 0 if none is left."""
        found = self._cluster.ask(self.source, "CLUSTER", "GETKEYSINSLOT", self.slot, keys)
        assert isinstance(found, list)  # noqa: S101 - the reply's type
        if found:
            password = self._cluster.password
            destination = (HOST, self.target.port, "", 0, MIGRATE_MS, "AUTH", password)
            self._cluster.ask(self.source, "MIGRATE", *destination, "KEYS", *found)
        return len(found)

    def finish(self) -> None:
        """Give the slot to the target. It must have all keys: what the source still has is deleted there."""
        owner = self._cluster.id_of(self.target)
        # The target first, so that there is an owner at each moment.
        others = [node for node in self._cluster.nodes if node not in (self.target, self.source)]
        for node in (self.target, self.source, *others):
            self._cluster.ask(node, "CLUSTER", "SETSLOT", self.slot, "NODE", owner)


def slot_of(key: str) -> int:
    """The slot of a key, which only its hash tag decides if it has one."""
    return key_slot(key.encode())
