"""A script makes its whole transition or none, however absurd its arguments or the ledger's keys are."""

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, Final

import pytest
import redis
from redis.exceptions import ResponseError

from limner.ledger.scripts import assembly
from limner.ledger.scripts.script import Script
from tests.integration.limner.ledger.conftest import Bench
from tests.integration.limner.ledger.moments import MOMENTS

TEXTS: Final = (
    "",
    "0",
    "-1",
    "0.5",
    "1e300",
    "9007199254740993",
    "nan",
    "inf",
    "x",
    "[]",
    "{}",
    "null",
    "[nan]",
)
VALUES: Final[tuple[Any, ...]] = (
    0,
    -1,
    0.5,
    1e300,
    2**53,
    -(2**63),
    math.nan,
    math.inf,
    "",
    "x",
    True,
    None,
    [],
    {},
    [[1e999]],
)
DAMAGE: Final = ("", "-1", "0.5", "1e300", "9223372036854775807", "nan", "x", '{"a":1e999}')
SCORES: Final = ("-1", "1e300")
DEEP: Any = []
for _ in range(500):
    DEEP = [DEEP]

State = dict[bytes, tuple[Any, bool]]
"""The value of each key, and whether it expires."""
Read = Callable[[Any, bytes], Any]
READS: Final[dict[bytes, Read]] = {
    b"hash": lambda raw, key: raw.hgetall(key),
    b"zset": lambda raw, key: raw.zrange(key, 0, -1, withscores=True),
    b"set": lambda raw, key: raw.smembers(key),
}


def _dump(raw: Any, key: bytes) -> Any:
    return raw.dump(key)


@dataclass
class Moment:
    """A state of the ledger, and a script that is about to run there."""

    bench: Bench
    script: Script[Any]
    raw: Any
    """A client that does not decode."""

    def __post_init__(self) -> None:
        self.sha = self.bench.client.script_load(self.script.text())
        self.arguments = self.script.arguments()
        self.prefix = self.bench.ledger.prefix.encode()
        self.start = {key: (self.raw.dump(key), self.raw.pttl(key) > 0) for key in self.raw.keys("*")}

    def state(self) -> State:
        keys = self.raw.keys("*")
        with self.raw.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.type(key)
            kinds = pipe.execute()
            for key, kind in zip(keys, kinds, strict=True):
                READS.get(kind, _dump)(pipe, key)
                pipe.pttl(key)
            answers = pipe.execute()
        return {key: (answers[2 * at], answers[2 * at + 1] > 0) for at, key in enumerate(keys)}

    def restore(self) -> None:
        with self.raw.pipeline(transaction=False) as pipe:
            pipe.flushdb()
            for key, (dump, expires) in self.start.items():
                pipe.restore(key, 1000_000 if expires else 0, dump)
            pipe.execute()

    def run(self, arguments: list[str]) -> ResponseError | None:
        now = str(round(self.bench.now * 1000))
        try:
            self.raw.evalsha(self.sha, 1, self.bench.ledger.prefix, now, *arguments)
        except ResponseError as error:
            return error
        return None

    def halves(self, arguments: list[str]) -> str | None:
        """The writes that the script has made before it stopped, or None."""
        before = self.state()
        error = self.run(arguments)
        after = self.state()
        if error is not None:
            changed = sorted(key for key in {*before, *after} if before.get(key) != after.get(key))
            return f"{error} after writing to {changed}" if changed else None
        if lost := self.indexed(before) - self.indexed(after):
            kept = {job for job in lost if after.get(self.prefix + b"job:" + job, (None, True))[1] is False}
            if kept:
                return f"jobs in no index, for ever: {kept}"
        scores = [score for value, _ in after.values() if isinstance(value, list) for _, score in value]
        return None if all(map(math.isfinite, scores)) else "a score that is no number"

    def indexed(self, state: State) -> set[bytes]:
        """The jobs in an index that some time brings them back."""
        names = (b"due", b"ready", b"over-budget:")
        return {
            member
            for key, (value, _) in state.items()
            if key.removeprefix(self.prefix).startswith(names) or key == self.prefix + b"copies"
            if isinstance(value, list)
            for member, _ in value
        }


@pytest.fixture(params=MOMENTS)
def moment(request: pytest.FixtureRequest, bench: Bench, valkey_url: str) -> Iterator[Moment]:
    script = MOMENTS[request.param](bench)
    with redis.Redis.from_url(valkey_url) as raw:
        yield Moment(bench, script, raw)


def variants(value: Any) -> Iterator[tuple[str, Any]]:
    """The JSON with one of its parts replaced or missing, and what was done to it."""
    for absurd in (*VALUES, DEEP):
        yield f"is {str(absurd)[:20]!r}", absurd
    if isinstance(value, dict):
        for name, each in value.items():
            rest = {other: one for other, one in value.items() if other != name}
            yield f"without {name}", rest
            for done, variant in variants(each):
                yield f"{name} {done}", {**value, name: variant}
    elif isinstance(value, list):
        for at, each in enumerate(value):
            for done, variant in variants(each):
                yield f"{at} {done}", [*value[:at], variant, *value[at + 1 :]]


def absurdities(script: Script[Any], arguments: list[str]) -> Iterator[tuple[str, list[str]]]:
    names = [field.name for field in fields(script)]
    for at, (name, argument) in enumerate(zip(names, arguments, strict=True)):
        for text in TEXTS:
            yield f"{name} is {text!r}", [*arguments[:at], text, *arguments[at + 1 :]]
        if argument[:1] in ("{", "["):
            for done, variant in variants(json.loads(argument)):
                yield f"{name}: {done}", [*arguments[:at], json.dumps(variant), *arguments[at + 1 :]]


def test_there_is_a_moment_for_each_script() -> None:
    covered = {
        name
        for name in assembly.names_in()
        for moment in MOMENTS
        if moment.split(":")[0].split(" ")[0] == name
    }
    assert covered == set(assembly.names_in())


def test_a_moment_is_one_at_which_the_script_does_something(moment: Moment) -> None:
    before = moment.state()
    assert moment.run(moment.arguments) is None
    assert moment.state() != before or moment.script.NAME == "check_layout"


def test_an_absurd_argument_leaves_nothing_half_done(moment: Moment) -> None:
    faults = []
    for what, arguments in absurdities(moment.script, moment.arguments):
        moment.restore()
        if half := moment.halves(arguments):
            faults.append(f"{what}: {half}")
    assert faults == []


Damage = Callable[[Any], object]


def damages(raw: Any, key: bytes) -> Iterator[tuple[str, Damage]]:
    """The key with another type, or with a damaged part."""
    kind = raw.type(key)
    yield (
        "is another type",
        lambda raw: (raw.delete(key), raw.rpush(key, "x") if kind != b"list" else raw.set(key, "x")),
    )
    yield "is gone", lambda raw: raw.delete(key)
    for field in raw.hkeys(key) if kind == b"hash" else ():
        yield f"has no {field!r}", partial(_without, key, field)
        for text in DAMAGE:
            yield f"has {field!r} {text!r}", partial(_with, key, field, text)
    for member in raw.zrange(key, 0, -1) if kind == b"zset" else ():
        for score in SCORES:
            yield f"has {member!r} at {score}", partial(_at, key, member, score)
    for text in DAMAGE if kind == b"string" else ():
        yield f"is {text!r}", partial(_text, key, text)


def _without(key: bytes, field: bytes, raw: Any) -> None:
    raw.hdel(key, field)


def _with(key: bytes, field: bytes, text: str, raw: Any) -> None:
    raw.hset(key, field, text)


def _at(key: bytes, member: bytes, score: str, raw: Any) -> None:
    raw.zadd(key, {member: score})


def _text(key: bytes, text: str, raw: Any) -> None:
    raw.set(key, text)


def test_a_damaged_key_leaves_nothing_half_done(moment: Moment) -> None:
    faults = []
    for key in moment.start:
        for what, damage in list(damages(moment.raw, key)):
            moment.restore()
            damage(moment.raw)
            if half := moment.halves(moment.arguments):
                faults.append(f"{key!r} {what}: {half}")
        moment.restore()
    assert faults == []
