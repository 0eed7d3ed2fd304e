"""How the ledger's scripts are run: atomic, bounded in time, and as durable as is asked for."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any

import redis

from limner.connection import store_errors
from limner.errors import NotDurable
from limner.terms import Durability, Leases

Milliseconds = int

SHARED = ("quota", "pauses", "lines", "money", "tasks", "ends", "caps")
"""What scripts have in common, in the order in which one builds on the other."""


@cache
def script_text(name: str) -> str:
    """The whole text of a transition's script."""
    lua = files("limner") / "lua"
    parts = [lua / "prelude.lua", *(lua / "shared" / f"{part}.lua" for part in SHARED), lua / f"{name}.lua"]
    return "".join(part.read_text("utf-8") for part in parts)


def to_ms(seconds: float) -> Milliseconds:
    """A duration or time as the scripts count it."""
    return round(seconds * 1000)


def to_micro(amount: Decimal) -> int:
    """Credits as the scripts count them, in millionths."""
    return round(amount * 1_000_000)


def moment(milliseconds: Milliseconds) -> datetime:
    """A time of the scripts."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


class Scripts:
    """The scripts of one account group."""

    def __init__(
        self,
        client: "redis.Redis",
        *,
        group: str = "main",
        leases: Leases | None = None,
        durability: Durability = Durability.SERVER,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.prefix = f"limner:{{{group}}}:"
        self.leases = leases or Leases()
        self._durability = durability
        # redis-py's annotations cannot tell decoded answers from bytes.
        self._redis: Any = client
        self._clock = clock
        self._scripts: dict[str, Any] = {}
        # A call that blocks for longer than the client's time-out looks like a server that does not answer.
        self._longest_block = (client.connection_pool.connection_kwargs.get("socket_timeout") or 60.0) / 2

    def _script(self, name: str) -> Any:
        if name not in self._scripts:
            self._scripts[name] = self._redis.register_script(script_text(name))
        return self._scripts[name]

    def _run(self, name: str, **arguments: Any) -> Any:
        keys, args = self.call(arguments)
        with store_errors(self._redis):
            return self._script(name)(keys=keys, args=args)

    def _run_durably(self, name: str, **arguments: Any) -> Any:
        """Raises NotDurable when the write has happened and is not known to be durable."""
        if self._durability is Durability.SERVER:
            return self._run(name, **arguments)
        return self._run_each_durably(name, [arguments])[0]

    def _run_each_durably(self, name: str, calls: Iterable[Mapping[str, Any]]) -> Sequence[Any]:
        """Many calls in one round trip, which wait for the disk together."""
        with store_errors(self._redis), self._redis.pipeline(transaction=False) as pipe:
            for arguments in calls:
                keys, args = self.call(arguments)
                self._script(name)(keys=keys, args=args, client=pipe)
            for command in self.waiting():
                pipe.execute_command(*command)
            return self.durable(pipe.execute(raise_on_error=False))

    def waiting(self) -> list[tuple[str | int, ...]]:
        """The commands that make Redis wait for its disk, for less than a call may take; the last answers.

        WAITAOF waits for what its own connection has written. So it follows a write, which stands in the
        server's log behind all that others have written before: a transition that is repeated, on another
        connection, may have nothing left to write itself.
        """
        if self._durability is Durability.SERVER:
            return []
        replicas = int(self._durability is Durability.REPLICA)
        return [
            ("SET", self.prefix + "mark", 1),
            ("WAITAOF", 1, replicas, to_ms(self._longest_block)),
        ]

    def durable(self, replies: Sequence[Any]) -> Sequence[Any]:
        """The replies before those to :meth:`waiting`; raises what went wrong, NotDurable for a vain wait."""
        waited = len(self.waiting())
        answers = replies[: len(replies) - waited]
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        if waited:
            self._check(replies[-1])
        return answers

    def _check(self, copies: Any) -> None:
        unkept = isinstance(copies, Exception) or copies[0] < 1
        if unkept or copies[1] < int(self._durability is Durability.REPLICA):
            told = copies if isinstance(copies, Exception) else f"{copies[0]} disks, {copies[1]} replicas"
            raise NotDurable(
                f"Redis did not confirm in time that a write is on its {self._durability.value}, as "
                f"LIMNER_DURABILITY asks for ({told}). What was written stays: a job may run, and is to be "
                "submitted again only with the same idempotency key"
            )

    def call(self, arguments: Mapping[str, Any]) -> tuple[list[str], list[str]]:
        """The keys and arguments with which a script is called."""
        now = str(to_ms(self._clock())) if self._clock else ""
        given = {name: value for name, value in arguments.items() if value is not None}
        return [self.prefix], [now, json.dumps(given)]

    def record_key(self, job_id: str) -> str:
        """Where the record lies, for asynchronous readers; only the scripts write there."""
        return f"{self.prefix}job:{job_id}"
