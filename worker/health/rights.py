"""The rights of a Redis user: each command of the ledger, tried on keys that are deleted again."""

import secrets
from collections.abc import Iterator, Sequence
from typing import Any, Final

import redis
from redis.exceptions import NoPermissionError, NoScriptError

from limner._redis import CannotServe, store_errors
from limner.errors import StoreUnavailable
from limner.ledger import Ledger
from worker.health.findings import Finding, fail, ok, warn

CHECK: Final = "rights"

SCRIPT: Final = "return 1"
"""A script may call nothing that its user may not call directly, and that is tried as well."""

_TRIES: Final[tuple[tuple[str, str], ...]] = (
    ("text", "SET K 1"),
    ("text", "SETEX K 60 1"),
    ("text", "GET K"),
    ("text", "EXISTS K"),
    ("text", "EXPIRE K 60"),
    ("text", "PEXPIRE K 60000"),
    ("text", "PERSIST K"),
    ("number", "INCR K"),
    ("hash", "HSET K f 1"),
    ("hash", "HSETNX K f 1"),
    ("hash", "HGET K f"),
    ("hash", "HMGET K f"),
    ("hash", "HGETALL K"),
    ("hash", "HKEYS K"),
    ("hash", "HSCAN K 0"),
    ("hash", "HVALS K"),
    ("hash", "HLEN K"),
    ("hash", "HINCRBY K f 1"),
    ("hash", "HDEL K f"),
    ("list", "LPUSH K 1"),
    ("list", "RPUSH K 1"),
    ("list", "LRANGE K 0 -1"),
    ("list", "LTRIM K 0 1"),
    ("list", "LLEN K"),
    ("list", "BLPOP K 1"),
    ("set", "SADD K a"),
    ("set", "SISMEMBER K a"),
    ("set", "SMEMBERS K"),
    ("set", "SRANDMEMBER K 1"),
    ("set", "SCARD K"),
    ("set", "SREM K b"),
    ("sorted", "ZADD K 1 a"),
    ("sorted", "ZCARD K"),
    ("sorted", "ZCOUNT K 0 1"),
    ("sorted", "ZRANGE K 0 -1"),
    ("sorted", "ZRANGEBYSCORE K 0 1"),
    ("sorted", "ZRANK K a"),
    ("sorted", "ZSCORE K a"),
    ("sorted", "ZREM K b"),
    ("sorted", "ZPOPMIN K 0"),
    ("sorted", "ZREMRANGEBYRANK K 5 6"),
    ("sorted", "ZREMRANGEBYSCORE K 5 6"),
    ("stream", "XADD K * f 1"),
    ("stream", "XRANGE K - +"),
    ("stream", "XREAD COUNT 1 STREAMS K 0"),
    ("stream", "XDEL K 1-1"),
    ("stream", "XTRIM K MINID 1"),
)
"""A command of the ledger, and the kind of its key, which takes the place of K."""
_AFTER: Final = ("TIME", "PING", "INFO server")

OPTIONAL: Final = frozenset({"INFO", "PUBLISH", "SUBSCRIBE", "XADD", "XRANGE", "XREAD", "XDEL"})
"""The commands without which jobs run all the same."""

TRIED: Final = frozenset(command.split()[0] for command in (*(text for _, text in _TRIES), *_AFTER)) | {
    "DEL",
    "PUBLISH",
    "SUBSCRIBE",
    "EVALSHA",
    "SCRIPT",
    "WAITAOF",
}
"""The names of all commands that are tried."""


def check_rights(ledger: Ledger, *, waits: bool) -> Iterator[Finding]:
    """Try what workers do; ``waits`` tries WAITAOF as well. Raises StoreUnavailable."""
    name = f"doctor-{secrets.token_hex(8)}"
    client = ledger.store.redis
    try:
        with store_errors(client):
            refused = [
                *_commands(client, ledger.prefix + name, waits=waits),
                *_messages(client, ledger, name),
            ]
            refused += _script(client, f"{ledger.prefix}{name}:script")
    except StoreUnavailable as unavailable:
        if not isinstance(unavailable.__cause__, CannotServe):
            raise
        yield fail(
            CHECK,
            f"LIMNER_REDIS_URL: a command is refused: {str(unavailable.__cause__)[:200]}",
            "see its log",
        )
        return
    forbidden = sorted(command for command, error in refused if isinstance(error, NoPermissionError))
    denied = [command for command in forbidden if command not in OPTIONAL]
    if denied:
        yield fail(
            CHECK,
            f"LIMNER_REDIS_URL: its user may not use {', '.join(forbidden)}",
            f"allow this user ~{ledger.prefix}* &{ledger.prefix}* and these commands (ACL SETUSER)",
        )
    elif forbidden:
        yield warn(
            CHECK,
            f"LIMNER_REDIS_URL: its user may not use {', '.join(forbidden)}",
            "jobs run without it; waits are told later, and events or facts about the server are missing",
        )
    for command, refusal in refused:
        if command not in forbidden:
            # One refusal to write says it all.
            yield fail(CHECK, f"LIMNER_REDIS_URL: {command} is refused: {str(refusal)[:200]}", "see its log")
            return
    if not refused:
        yield ok(CHECK, f"scripts, messages, and all commands on keys under {ledger.prefix}")


Refused = tuple[str, Exception]


def _commands(client: Any, own: str, *, waits: bool) -> Sequence[Refused]:
    keys = {kind: f"{own}:{kind}" for kind, _ in _TRIES}
    commands = [[keys[kind] if word == "K" else word for word in text.split()] for kind, text in _TRIES]
    commands += [text.split() for text in _AFTER]
    if waits:
        commands.append(["WAITAOF", "0", "0", "0"])
    commands.append(["DEL", *keys.values()])
    with client.pipeline(transaction=False) as pipe:
        for command in commands:
            pipe.execute_command(*command)
        replies = pipe.execute(raise_on_error=False)
    return [
        (command[0], reply)
        for command, reply in zip(commands, replies, strict=True)
        if isinstance(reply, Exception)
    ]


def _messages(client: Any, ledger: Ledger, name: str) -> Iterator[Refused]:
    channel = ledger.journal.channel(name)
    try:
        client.publish(channel, "")
    except redis.ResponseError as error:
        yield "PUBLISH", error
    with client.pubsub() as listener:
        try:
            listener.subscribe(channel)
            listener.get_message(timeout=ledger.store.longest_block)
        except redis.ResponseError as error:
            yield "SUBSCRIBE", error


def _script(client: Any, key: str) -> Iterator[Refused]:
    sha = ""
    try:
        sha = client.script_load(SCRIPT)
    except redis.ResponseError as error:
        yield "SCRIPT", error
    try:
        client.evalsha(sha or "0" * 40, 1, key)
    except NoScriptError:
        pass  # The user may call scripts, and may not load them.
    except redis.ResponseError as error:
        yield "EVALSHA", error
