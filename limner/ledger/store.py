"""Access to one Redis: the prefix, the clock, bounded calls, and durability."""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeAlias, TypeVar

import redis
from redis.exceptions import NoScriptError

from limner._redis import async_store_errors, store_errors
from limner.configuration import DEFAULT_PREFIX, Durability
from limner.errors import NotDurable
from limner.ledger.layout.keys import MARK, prefix_of
from limner.ledger.messages import to_ms
from limner.ledger.scripts.script import Script

Answer = TypeVar("Answer")
Reading: TypeAlias = Generator[Callable[[Any], object], list[Any], Answer]
"""A reading in steps, which blocking and asynchronous callers share. It yields functions that put the
commands of a step into a pipeline, is sent their replies, and returns the answer."""


class Store:
    """The Redis of one account group of the fleet with this ``prefix``.

    All methods raise :class:`~limner.errors.StoreUnavailable` when it does not answer in time, and
    :class:`~limner.errors.RecordUnreadable` for a record that this version cannot read. ``clock`` returns the
    time in seconds since the epoch; without it, the store uses the server's clock. ``durability`` applies to
    new jobs and attempts.
    """

    def __init__(
        self,
        client: "redis.Redis",
        *,
        prefix: str = DEFAULT_PREFIX,
        group: str = "main",
        durability: Durability = Durability.SERVER,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.prefix = prefix_of(prefix, group)
        # redis-py's annotations cannot tell decoded answers from bytes.
        self.redis: Any = client
        self.clock = clock
        self._durability = durability
        # A call that blocks for longer than the client's time-out looks like a server that does not answer.
        self.longest_block = (client.connection_pool.connection_kwargs.get("socket_timeout") or 60.0) / 2

    # Reading

    @contextmanager
    def pipeline(self) -> Iterator[Any]:
        """Sends several commands in one round trip, not as a transaction."""
        with store_errors(self.redis), self.redis.pipeline(transaction=False) as pipe:
            yield pipe

    @contextmanager
    def client(self) -> Iterator[Any]:
        """Lends the client, and raises its errors as errors of Limner."""
        with store_errors(self.redis):
            yield self.redis

    def ask(self, reading: Reading[Answer]) -> Answer:
        """Carry a reading out: a round trip for each of its steps."""
        try:
            commands = next(reading)
            while True:
                with self.pipeline() as pipe:
                    commands(pipe)
                    replies = pipe.execute()
                commands = reading.send(replies)
        except StopIteration as end:
            answer: Answer = end.value
            return answer

    async def aask(self, client: Any, reading: Reading[Answer]) -> Answer:
        """The same over an asynchronous client."""
        try:
            commands = next(reading)
            while True:
                with async_store_errors(client):
                    async with client.pipeline(transaction=False) as pipe:
                        commands(pipe)
                        replies = await pipe.execute()
                commands = reading.send(replies)
        except StopIteration as end:
            answer: Answer = end.value
            return answer

    def now(self, answer: tuple[int, int]) -> float:
        """The ledger's time in seconds since the epoch. ``answer`` is the server's reply to TIME."""
        return self.clock() if self.clock else answer[0] + answer[1] / 1e6

    def moment(self, answer: tuple[int, int]) -> datetime:
        """The ledger's time as a datetime. ``answer`` is the server's reply to TIME."""
        return datetime.fromtimestamp(self.now(answer), UTC)

    # Scripts

    def run(self, script: Script[Answer]) -> Answer:
        """Execute a script."""
        command = self._command(script)
        with store_errors(self.redis):
            try:
                reply = self.redis.execute_command(*command)
            except NoScriptError:
                self.redis.script_load(script.text())
                reply = self.redis.execute_command(*command)
        return script.read(reply)

    def run_durably(self, *scripts: Script[Answer]) -> list[Answer]:
        """Execute scripts of one kind in one round trip, and wait once until their writes are durable.

        Raises NotDurable if the writes have happened and Redis has not confirmed that they are durable.
        """
        if len(scripts) == 1 and self._durability is Durability.SERVER:
            return [self.run(scripts[0])]
        with store_errors(self.redis):
            replies = self._send(scripts)
            if any(isinstance(reply, NoScriptError) for reply in replies):
                # The server does not know the script, so it has executed none of them.
                self.redis.script_load(scripts[0].text())
                replies = self._send(scripts)
            return self._read(scripts, replies)

    def _send(self, scripts: Sequence[Script[Any]]) -> list[Any]:
        with self.redis.pipeline(transaction=False) as pipe:
            for command in self._commands(scripts):
                pipe.execute_command(*command)
            return list(pipe.execute(raise_on_error=False))

    async def arun_durably(self, client: Any, script: Script[Answer]) -> Answer:
        """Execute one script over an asynchronous client, like :meth:`run_durably`."""
        with async_store_errors(client):
            replies = await self._asend(client, script)
            if isinstance(replies[0], NoScriptError):
                await client.script_load(script.text())
                replies = await self._asend(client, script)
            [answer] = self._read([script], replies)
            return answer

    async def _asend(self, client: Any, script: Script[Any]) -> list[Any]:
        if self._durability is Durability.SERVER:
            try:
                return [await client.execute_command(*self._command(script))]
            except NoScriptError as error:
                return [error]
        async with client.pipeline(transaction=False) as pipe:
            for command in self._commands([script]):
                pipe.execute_command(*command)
            return list(await pipe.execute(raise_on_error=False))

    def _command(self, script: Script[Any]) -> tuple[Any, ...]:
        now = str(to_ms(self.clock())) if self.clock else ""
        return ("EVALSHA", script.sha(), 1, self.prefix, now, *script.arguments())

    def _commands(self, scripts: Sequence[Script[Any]]) -> Iterator[tuple[Any, ...]]:
        yield from map(self._command, scripts)
        # WAITAOF waits for the writes of its own connection only. A repeated transition on another connection
        # may have nothing left to write. So a write precedes WAITAOF: the server's log has it after all
        # earlier writes.
        if self._durability is not Durability.SERVER:
            yield "SET", MARK(self.prefix), 1
            replicas = int(self._durability is Durability.REPLICA)
            yield "WAITAOF", 1, replicas, to_ms(self.longest_block)

    def _read(self, scripts: Sequence[Script[Answer]], replies: Sequence[Any]) -> list[Answer]:
        for reply in replies[: len(scripts)]:
            if isinstance(reply, Exception):
                raise reply
        if self._durability is not Durability.SERVER:
            self._check(replies[-1])
        return [script.read(reply) for script, reply in zip(scripts, replies, strict=False)]

    def _check(self, copies: Any) -> None:
        unkept = isinstance(copies, Exception) or copies[0] < 1
        if unkept or copies[1] < int(self._durability is Durability.REPLICA):
            answer = copies if isinstance(copies, Exception) else f"{copies[0]} disks, {copies[1]} replicas"
            raise NotDurable(
                f"Redis did not confirm in time that a write is on its {self._durability.value}, as "
                f"LIMNER_DURABILITY asks for ({answer}). What was written stays: a job may run, and is to be "
                "submitted again only with the same idempotency key"
            )
