"""Access to one Redis: the prefix, the clock, bounded calls, and durability."""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeAlias, TypeVar

import redis
from redis.exceptions import NoScriptError

from limner._connection import async_store_errors, store_errors
from limner.configuration import Durability
from limner.errors import NotDurable
from limner.ledger.layout.keys import MARK, prefix_of
from limner.ledger.messages import to_ms
from limner.ledger.scripts.script import Script

Answer = TypeVar("Answer")
Reading: TypeAlias = Generator[Callable[[Any], object], list[Any], Answer]
"""A reading in steps, which blocking and asynchronous callers share. It yields functions that put the
commands of a step into a pipeline, is sent their replies, and returns the answer."""


class Store:
    """The Redis of one account group. All methods raise :class:`~limner.errors.StoreUnavailable` when it does
    not answer in time, and :class:`~limner.errors.RecordUnreadable` for a record that this version cannot
    read.

    ``clock`` gives the time in seconds since the epoch; without it, the server's own clock rules.
    ``durability`` is that of a new job and of an attempt.
    """

    def __init__(
        self,
        client: "redis.Redis",
        *,
        group: str = "main",
        durability: Durability = Durability.SERVER,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.prefix = prefix_of(group)
        # redis-py's annotations cannot tell decoded answers from bytes.
        self.redis: Any = client
        self.clock = clock
        self._durability = durability
        # A call that blocks for longer than the client's time-out looks like a server that does not answer.
        self.longest_block = (client.connection_pool.connection_kwargs.get("socket_timeout") or 60.0) / 2

    # Reading

    @contextmanager
    def pipeline(self) -> Iterator[Any]:
        """Commands that travel together, not as a transaction."""
        with store_errors(self.redis), self.redis.pipeline(transaction=False) as pipe:
            yield pipe

    @contextmanager
    def client(self) -> Iterator[Any]:
        """The client, whose errors are told as ours."""
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
        """The ledger's time in seconds since the epoch; ``answer`` is the server's to TIME."""
        return self.clock() if self.clock else answer[0] + answer[1] / 1e6

    def moment(self, answer: tuple[int, int]) -> datetime:
        """The same as a time."""
        return datetime.fromtimestamp(self.now(answer), UTC)

    # Scripts

    def run(self, script: Script[Answer]) -> Answer:
        """Carry a transition out."""
        command = self._command(script)
        with store_errors(self.redis):
            try:
                reply = self.redis.execute_command(*command)
            except NoScriptError:
                self.redis.script_load(script.text())
                reply = self.redis.execute_command(*command)
        return script.read(reply)

    def run_durably(self, *scripts: Script[Answer]) -> list[Answer]:
        """Carry transitions out in one round trip, and wait for the disk together.

        Raises NotDurable when the writes have happened and are not known to be durable.
        """
        if len(scripts) == 1 and self._durability is Durability.SERVER:
            return [self.run(scripts[0])]
        with store_errors(self.redis):
            replies = self._send(scripts)
            if any(isinstance(reply, NoScriptError) for reply in replies):
                # A server that has never seen the script has carried none of them out.
                self.redis.script_load(scripts[0].text())
                replies = self._send(scripts)
            return self._read(scripts, replies)

    def _send(self, scripts: Sequence[Script[Any]]) -> list[Any]:
        with self.redis.pipeline(transaction=False) as pipe:
            for command in self._commands(scripts):
                pipe.execute_command(*command)
            return list(pipe.execute(raise_on_error=False))

    async def arun_durably(self, client: Any, script: Script[Answer]) -> Answer:
        """The same for one transition over an asynchronous client."""
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
        # WAITAOF waits for what its own connection has written. So it follows a write, which stands in the
        # server's log behind all that others have written before: a transition that is repeated, on another
        # connection, may have nothing left to write itself.
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
            told = copies if isinstance(copies, Exception) else f"{copies[0]} disks, {copies[1]} replicas"
            raise NotDurable(
                f"Redis did not confirm in time that a write is on its {self._durability.value}, as "
                f"LIMNER_DURABILITY asks for ({told}). What was written stays: a job may run, and is to be "
                "submitted again only with the same idempotency key"
            )
