"""A primary with replicas, behind a service address or watched by sentinels, and its failovers."""

import contextlib
import secrets
from types import TracebackType
from typing import Final, Self

import redis

from sandbox.local.commands import connected, says, wait_until
from sandbox.local.network import Proxy
from sandbox.local.ports import HOST
from sandbox.local.sentinel import SERVICE, Sentinel
from sandbox.local.valkey import AppendFsync, EmbeddedValkey, ValkeyError

__all__ = ["Replicated"]

FAST: Final = ("repl-diskless-sync-delay 0", "repl-ping-replica-period 1")


class Replicated:
    """A primary with replicas that all have one password, as a context manager::

        with Replicated(replicas=1, sentinels=3) as servers:
            redis.Redis.from_url(servers.url)
            servers.kill_primary()
            servers.wait_until_promoted()

    ``service_address`` is a proxy that stands for the address of a load balancer or a managed service.
    It leads new connections to the present primary. Without sentinels, the methods promote a replica.
    """

    def __init__(
        self,
        *,
        replicas: int = 1,
        sentinels: int = 0,
        appendonly: bool = True,
        appendfsync: AppendFsync = "everysec",
        sentinel_password: str | None = None,
    ) -> None:
        self._password = secrets.token_hex(16)
        self._sentinel_password = sentinel_password
        self._sentinel_count = sentinels
        self._stack = contextlib.ExitStack()
        self._primary, *self._others = [
            EmbeddedValkey(
                aof=appendonly,
                appendfsync=appendfsync,
                password=self._password,
                configuration=[f"masterauth {self._password}", *FAST],
            )
            for _ in range(1 + replicas)
        ]
        self._sentinels: list[Sentinel] = []
        self._service_address: Proxy | None = None

    @property
    def primary(self) -> EmbeddedValkey:
        """The present primary, as far as it was waited for."""
        return self._primary

    @property
    def others(self) -> list[EmbeddedValkey]:
        """All other servers: replicas, and former primaries whether they run or not."""
        return list(self._others)

    @property
    def url(self) -> str:
        """The URL of the present primary itself."""
        return self._primary.url

    @property
    def sentinel_url(self) -> str:
        """The URL for clients that ask the sentinels where the primary is."""
        hosts = ",".join(f"{HOST}:{sentinel.port}" for sentinel in self._sentinels)
        secret = f"?sentinel_password={self._sentinel_password}" if self._sentinel_password else ""
        return f"redis+sentinel://:{self._password}@{hosts}/{SERVICE}/0{secret}"

    @property
    def service_address(self) -> Proxy:
        if self._service_address is None:
            raise ValkeyError("The servers were not started: call start() or use them in a with statement.")
        return self._service_address

    @property
    def service_url(self) -> str:
        """The URL of the service address, which stays the same after a failover."""
        return f"redis://:{self._password}@{HOST}:{self.service_address.port}/0"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> Self:
        """Start everything, and wait until replicas have the primary's data and sentinels know them."""
        try:
            self._stack.enter_context(self._primary)
            for server in self._others:
                self._stack.enter_context(server)
                self._follow(server)
            wait_until(self._in_step, "the replicas are in step")
            for _ in range(self._sentinel_count):
                sentinel = Sentinel(
                    self._primary, quorum=self._sentinel_count // 2 + 1, password=self._sentinel_password
                )
                self._sentinels.append(self._stack.enter_context(sentinel))
            for sentinel in self._sentinels:
                wait_until(lambda: self._knows_all(sentinel), "the sentinels know each other")  # noqa: B023
            self._service_address = self._stack.enter_context(Proxy(HOST, self._primary.port))
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop everything."""
        self._stack.close()
        self._sentinels.clear()

    def fail_over(self) -> None:
        """A planned failover, which ends when another server is the primary.

        Without sentinels, nothing that was written is lost, the old primary is a replica, and the open
        connections of the service address stay there. Sentinels promote first, and make the old
        primary a replica up to 10 s later. Then its clients lose their connections, and what they wrote there
        in between.
        """
        if self._sentinels:
            says(self._sentinels[0].port, self._sentinel_password, "SENTINEL", "FAILOVER", SERVICE)
            self.wait_until_promoted()
            return
        old, new = self._primary, self._candidate()
        says(old.port, self._password, "FAILOVER", "TO", HOST, new.port, "TIMEOUT", 10_000)
        wait_until(lambda: self._role(new) == "master", "the replica is the primary")
        self._adopt(new)
        wait_until(lambda: self._role(old) == "slave", "the old primary is a replica")

    def kill_primary(self, *, promote: bool = True) -> None:
        """An unplanned failover: the primary is killed (SIGKILL), and what no replica has yet is lost.

        Sentinels find that out by themselves: wait with :meth:`wait_until_promoted`. Without sentinels, a
        replica is promoted at once; without ``promote``, not before :meth:`promote` is called.
        """
        self._primary.kill()
        if promote and not self._sentinels:
            self.promote()

    def freeze_primary(self) -> None:
        """Freeze the primary (SIGSTOP): its connections stay open, and nothing is answered.

        Without sentinels nothing else happens until :meth:`promote` or :meth:`thaw_primary`.
        """
        self._primary.pause()

    def thaw_primary(self) -> None:
        """Continue every frozen server. A former primary still takes itself for one, until it is told."""
        for server in (self._primary, *self._others):
            if server.running:
                server.resume()

    def promote(self) -> None:
        """Make a replica the primary without asking the present one, and lead the service address to it."""
        new = self._candidate()
        says(new.port, self._password, "REPLICAOF", "NO", "ONE")
        self._adopt(new)

    def wait_until_promoted(self, seconds: float = 30.0) -> None:
        """Wait until all sentinels that run name another primary, and lead the service address to it.

        They leave 10 s between two failovers.
        """
        wait_until(lambda: self._named() is not None, "the sentinels have promoted a replica", seconds)
        new = self._named()
        assert new is not None  # noqa: S101 - a promotion lasts
        self._adopt(new)

    def rejoin(self) -> None:
        """Make every server that was killed, frozen or stopped a replica of the primary, and wait for it."""
        self.thaw_primary()
        for server in self._others:
            if not server.running:
                server.restart()
            self._follow(server)
        wait_until(self._in_step, "the replicas are in step")

    def stop_replicas(self) -> None:
        """Kill all replicas. :meth:`rejoin` brings them back."""
        for server in self._others:
            server.kill()

    def _follow(self, server: EmbeddedValkey) -> None:
        says(server.port, self._password, "REPLICAOF", HOST, self._primary.port)

    def _in_step(self) -> bool:
        """True if every other server has the primary's data, and receives what is written there."""
        expected = ["slave", HOST, self._primary.port, "connected"]
        return all(says(server.port, self._password, "ROLE")[:4] == expected for server in self._others)

    def _role(self, server: EmbeddedValkey) -> str | None:
        """``master`` or ``slave``; None for a server that is frozen or has ended."""
        try:
            return str(says(server.port, self._password, "ROLE")[0])
        except redis.RedisError:
            return None

    def _candidate(self) -> EmbeddedValkey:
        """The replica that has most of what the primary wrote."""
        replicas = [server for server in self._others if self._role(server) == "slave"]
        offsets = {server: says(server.port, self._password, "ROLE")[4] for server in replicas}
        if not offsets:
            raise ValkeyError("There is no replica to promote.")
        return max(offsets, key=offsets.__getitem__)

    def _adopt(self, new: EmbeddedValkey) -> None:
        """Take a server for the primary. Without sentinels, make the other replicas follow it."""
        self._others = [*(server for server in self._others if server is not new), self._primary]
        self._primary = new
        self.service_address.retarget(HOST, new.port)
        if not self._sentinels:
            for server in self._others[:-1]:
                if self._role(server) == "slave":
                    self._follow(server)

    def _named(self) -> EmbeddedValkey | None:
        """The new primary if all running sentinels name the same, and it knows that."""
        for server in self._others:
            if self._role(server) == "master" and self._sentinels_agree_on(server):
                return server
        return None

    def _sentinels_agree_on(self, server: EmbeddedValkey) -> bool:
        return all(
            says(sentinel.port, self._sentinel_password, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)
            == [HOST, str(server.port)]
            for sentinel in self._sentinels
            if sentinel.running
        )

    def _knows_all(self, sentinel: Sentinel) -> bool:
        with connected(sentinel.port, self._sentinel_password) as client:
            state = client.sentinel_master(SERVICE)
        known = {"num-other-sentinels": self._sentinel_count - 1, "num-slaves": len(self._others)}
        return isinstance(state, dict) and known.items() <= state.items()
