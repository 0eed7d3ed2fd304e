"""Odd messages for the queues of a fleet, by a seed: mutations of real ones, and texts of other kinds."""

import base64
import bz2
import functools
import json
import pickle
import zlib
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any, Final
from uuid import uuid4

from celery import Celery
from kombu import Producer
from kombu.serialization import dumps

from limner._redis import connect
from limner.ledger import Ledger
from worker.inspection import STEP
from worker.marks import Marks

Draw = Callable[[Random], Any]

BY_KOMBU: Final = 0.1
"""The share of messages that kombu sends."""
DEEP: Final = 5000
"""A depth that no parser follows."""
BOMB: Final = 50_000_000
"""Bytes of a body that was compressed to some thousand."""


@functools.cache
def bomb(compression: str) -> str:
    """A small body that is large when it is decompressed."""
    squeeze = zlib.compress if compression == "application/x-gzip" else bz2.compress
    return base64.b64encode(squeeze(b"[" * BOMB)).decode()


def nested(depth: int) -> Any:
    """A list in a list, so many times."""
    value: Any = 0
    for _ in range(depth):
        value = [value]
    return value


VALUES: Final[tuple[Draw, ...]] = (
    lambda _: None,
    lambda _: True,
    lambda random: random.choice([0, -1, 1, 10**30, 2**63, -(2**63)]),
    lambda random: random.choice([0.5, -1e308, float("inf"), float("nan")]),
    lambda random: random.choice(["", " ", "\x00", "\n", "\ud800", "é😀", "null", "utf-16", "base64", "0"]),
    lambda random: "x" * random.choice([100, 2000, 100_000]),
    lambda random: random.choice([[], {}, [None], {"": None}, [[], {}, {}], {"task": "limner.recover"}]),
    lambda random: nested(random.choice([3, 60, 150, 400])),
    lambda random: random.choice(["9999-12-31T23:59:59+00:00", "0001-01-01T00:00:00", "tomorrow", "2026"]),
    lambda random: {
        "__type__": random.choice(["datetime", "uuid", "decimal", "bytes", "date", "x"]),
        "__value__": "x",
    },
    lambda _: {"eta": "2026-01-01T00:00:00", "limner-step": 1, "ignore_result": False},
)
"""Values that take the place of others."""

NAMES: Final = (
    *("task", "id", "eta", "expires", "timelimit", "retries", "argsrepr", "kwargsrepr", "shadow", "lang"),
    *("ignore_result", "stamps", "stamped_headers", "group", "group_index", "root_id", "compression"),
    *("limner-step", "limner-fault", "get", "update", "__dict__", "headers", "callbacks", "chain", "chord"),
    *("errbacks", "delivery_info", "delivery_tag", "priority", "body_encoding", "reply_to", "body"),
    *("content-type", "content-encoding", "properties", "args", "kwargs", "called_directly", "taskset"),
)
"""Names that are added."""


class OddLetters:
    """A generator of odd messages. ``real`` are messages as they lie in a queue.

    ``victims`` are ids of jobs, which messages carry that are certainly no call of theirs.
    """

    def __init__(self, seed: int, real: Sequence[bytes], victims: Sequence[str]) -> None:
        self._random = Random(seed)
        self._real = real
        self._victims = victims
        self._kinds: tuple[Callable[[], bytes], ...] = (
            *[self._mutated] * 6,
            *[self._body_mutated] * 4,
            *[self._forged] * 3,
            self._text,
            self._bytes,
            self._cut,
            self._flipped,
            self._deep,
            self._long,
            self._bomb,
            self._foreign,
        )

    def __iter__(self) -> Iterator[bytes]:
        while True:
            yield self._random.choice(self._kinds)()

    def _any(self) -> Any:
        return self._random.choice(VALUES)(self._random)

    def _message(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self._random.choice(self._real))
        return message

    def _mutated(self) -> bytes:
        message = self._message()
        for _ in range(self._random.randint(1, 3)):
            self._change(message)
        return _dumped(message)

    def _body_mutated(self) -> bytes:
        message = self._message()
        body = json.loads(base64.b64decode(message["body"]))
        for _ in range(self._random.randint(1, 3)):
            self._change(body)
        message["body"] = base64.b64encode(_dumped(body)).decode()
        return _dumped(message)

    def _change(self, value: Any) -> None:
        """Change a place somewhere in a value: replace, remove, or add."""
        places: list[tuple[Any, Any]] = []
        left = [value]
        while left:
            each = left.pop()
            keys = (
                list(each) if isinstance(each, dict) else range(len(each)) if isinstance(each, list) else ()
            )
            places += [(each, key) for key in keys]
            left += [each[key] for key in keys]
        if not places:
            return
        inside, key = self._random.choice(places)
        match self._random.randint(0, 3):
            case 0:
                del inside[key]
            case 1 if isinstance(inside, dict):
                inside[self._random.choice(NAMES)] = self._any()
            case _:
                inside[key] = self._any()

    def _forged(self) -> bytes:
        """A step of the fleet, or a call, with the id of a job that somebody waits for."""
        message, victim = self._message(), self._random.choice(self._victims)
        task = self._random.choice(
            [
                "limner.check_status",
                "limner.recover",
                "limner.check_credits",
                "limner.create_task",
                "tasks.add",
            ]
        )
        lease = self._random.randint(1, 50)
        arguments: list[Any] = [[[victim, lease]]] if task == "limner.check_status" else [lease]
        embedded = self._random.choice([{}, {"limner-step": 1, "id": victim}, {"ignore_result": False}])
        message["headers"] |= {
            "task": task,
            "id": victim,
            "ignore_result": self._random.choice([True, False]),
        }
        if self._random.random() < 0.7:
            message["headers"]["limner-step"] = self._random.choice([1, True, "", "0" * 64, ["x"]])
        message["body"] = base64.b64encode(_dumped([arguments, {}, embedded])).decode()
        return _dumped(message)

    def _text(self) -> bytes:
        return _dumped(self._any())

    def _bytes(self) -> bytes:
        return self._random.randbytes(self._random.randint(0, 300))

    def _cut(self) -> bytes:
        message = self._random.choice(self._real)
        return message[: self._random.randint(0, len(message))]

    def _flipped(self) -> bytes:
        message = bytearray(self._random.choice(self._real))
        for _ in range(self._random.randint(1, 8)):
            message[self._random.randrange(len(message))] = self._random.randrange(256)
        return bytes(message)

    def _deep(self) -> bytes:
        return self._random.choice([b"[", b'{"headers":', b'{"a":[']) * DEEP

    def _long(self) -> bytes:
        message = self._message()
        message["headers"]["kwargsrepr"] = "x" * self._random.choice([50_000, 2_000_000])
        return _dumped(message)

    def _bomb(self) -> bytes:
        message = self._message()
        name = self._random.choice(["application/x-gzip", "application/x-bz2"])
        message["headers"]["compression"] = name
        message["body"] = bomb(name)
        return _dumped(message)

    def _foreign(self) -> bytes:
        message = self._message()
        kind = self._random.choice(
            [
                "application/x-python-serialize",
                "application/x-msgpack",
                "application/x-yaml",
                "text/plain",
                "",
            ]
        )
        message["content-type"] = kind
        message["body"] = base64.b64encode(pickle.dumps([[], {"prompt": "x"}, {}])).decode()
        return _dumped(message)


def _dumped(value: Any) -> bytes:
    return json.dumps(value).encode()


def real_messages(app: Celery, marks: Marks) -> list[bytes]:
    """Messages as Celery makes them: a plain producer's of both protocols, and steps with the fleet's mark.

    They pass through a list that nobody reads.
    """
    amqp: Any = app.amqp
    nobody = f"nobody-{uuid4()}"
    plain = [
        make(str(uuid4()), "limner.create_task", kwargs={"prompt": "a fox", "metadata": {"order": 7}})
        for make in (amqp.as_task_v1, amqp.as_task_v2)
    ]
    steps = [
        amqp.as_task_v2(nobody, "limner.check_status", args=[[[nobody, 7]]], ignore_result=True),
        amqp.as_task_v2(nobody, "limner.create_task", args=[nobody, 7], ignore_result=True),
        amqp.as_task_v2(nobody, "limner.recover", args=[nobody, 7], ignore_result=True),
    ]
    with app.connection_for_write() as connection:
        producer: Any = Producer(connection.channel())
        for message in (*plain, *steps):
            content_type, encoding, text = dumps(message.body, serializer="json")
            body = text.encode(encoding)
            mark = {}
            if message in steps:
                mark[STEP] = marks.of(message.headers["task"], message.headers["id"], body)
            producer.publish(
                body,
                exchange="",
                routing_key=nobody,
                content_type=content_type,
                content_encoding=encoding,
                headers={**message.headers, **mark},
                **message.properties,
            )
        client = producer.channel.client
        found: list[bytes] = client.lrange(nobody, 0, -1)
        client.delete(nobody)
    return found


class Thrower:
    """Throws odd messages into the queues of a fleet: as they are, and by kombu."""

    def __init__(
        self, app: Celery, client: Any, queues: Sequence[str], seed: int, victims: Sequence[str]
    ) -> None:
        self._app, self._client, self._queues = app, client, queues
        self._random = Random(seed)
        marks = Marks()
        marks.renew(Ledger(connect(app.conf.broker_url)).letters.fleet_key)
        self._letters = iter(OddLetters(seed, real_messages(app, marks), victims))

    def throw(self, number: int) -> None:
        """Throw so many messages."""
        with self._app.connection_for_write() as connection:
            producer: Any = Producer(connection.channel())
            for _ in range(number):
                queue = self._random.choice(self._queues)
                if self._random.random() < BY_KOMBU:
                    self._publish(producer, queue)
                else:
                    self._client.lpush(queue, next(self._letters))

    def _publish(self, producer: Any, queue: str) -> None:
        serializer = self._random.choice(["json", "pickle", "yaml", None])
        headers: dict[str, Any] = {
            self._random.choice(NAMES): self._random.choice(["", 7, None, [], {}, "limner.create_task", "x"])
            for _ in range(self._random.randint(0, 5))
        }
        headers.pop("compression", None)
        body: Any = self._random.choice(
            [[[], {"prompt": "x"}, {}], {"task": "limner.recover", "id": "x"}, "", None]
        )
        body = body if serializer else b"\x00\xff"
        producer.publish(body, exchange="", routing_key=queue, serializer=serializer, headers=headers)
