"""The shapes of the JSON arguments, and the Lua that checks them before a script's first write.

A shape names only what a script calculates with or needs. Everything else in an argument may have any form,
but its numbers are finite and its depth is moderate, because the script encodes it again.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from limner.ledger.layout.constants import DEEPEST as DEEPEST
from limner.ledger.layout.constants import LARGEST, MOST_ATTEMPTS, MOST_TROUBLES

Lines = Iterator[str]


@dataclass(frozen=True, slots=True)
class Number:
    """A whole number, or with ``real`` any number, within its bounds."""

    least: int | float = 1 - LARGEST
    most: int | float = LARGEST - 1
    real: bool = False

    def check(self, value: str, name: str) -> Lines:
        """The statements that refuse any other value."""
        yield f"number('{name}', {value}, {self.least!r}, {self.most!r}, {'true' if self.real else 'false'})"


@dataclass(frozen=True, slots=True)
class Typed:
    """A value of that type of Lua."""

    type: str

    def check(self, value: str, name: str) -> Lines:
        """The statements that refuse any other value."""
        yield f"if type({value}) ~= '{self.type}' then refuse('{name}', 'is no {self.type}') end"


@dataclass(frozen=True, slots=True)
class Fields:
    """An object with these fields. ``needs`` are always there, ``may`` if they apply."""

    needs: Mapping[str, "Shape"]
    may: Mapping[str, "Shape"]

    def check(self, value: str, name: str) -> Lines:
        """The statements that refuse any other value."""
        yield from OBJECT.check(value, name)
        for field, shape in self.needs.items():
            yield from shape.check(f"{value}.{field}", f"{name}.{field}")
        for field, shape in self.may.items():
            yield f"if {value}.{field} ~= nil then"
            yield from shape.check(f"{value}.{field}", f"{name}.{field}")
            yield "end"


@dataclass(frozen=True, slots=True)
class Each:
    """An array, or with ``keyed`` an object, whose values have one shape."""

    of: "Shape"
    keyed: bool = False

    def check(self, value: str, name: str) -> Lines:
        """The statements that refuse any other value."""
        yield from OBJECT.check(value, name)
        yield f"for _, each in pairs({value}) do"
        yield from self.of.check("each", name)
        yield "end"


@dataclass(frozen=True, slots=True)
class Tuple:
    """An array of so many values."""

    of: tuple["Shape", ...]

    def check(self, value: str, name: str) -> Lines:
        """The statements that refuse any other value."""
        yield from OBJECT.check(value, name)
        for place, shape in enumerate(self.of, start=1):
            yield from shape.check(f"{value}[{place}]", name)


@dataclass(frozen=True, slots=True)
class OneOf:
    """An object whose field ``by`` says which fields it has."""

    by: str
    cases: Mapping[str, Fields]

    def check(self, value: str, name: str) -> Lines:
        """The statements that refuse any other value."""
        yield from OBJECT.check(value, name)
        word = "if"
        for case, fields in self.cases.items():
            yield f"{word} {value}.{self.by} == '{case}' then"
            yield from fields.check(value, name)
            word = "elseif"
        yield f"else refuse('{name}.{self.by}', 'is unknown') end"


Shape = Number | Typed | Fields | Each | Tuple | OneOf

TEXT: Final = Typed("string")
FLAG: Final = Typed("boolean")
OBJECT: Final = Typed("table")
COUNT: Final = Number(0)
ATTEMPT: Final = Number(0, MOST_ATTEMPTS)
LEASE: Final = Number()
SPAN: Final = Number(0)
LIFE: Final = Number(1, 10**12)
"""A time to live in milliseconds: Redis refuses 0, and sums beyond its range of times."""
AMOUNT: Final = Number(0)

_LEARN: Final = Fields(
    {
        "kind": TEXT,
        "duration": Number(-1000, 1000, real=True),
        "level": Number(-1000, 1000, real=True),
        "lowest_level": Number(-1000, 1000, real=True),
        "highest_level": Number(-1000, 1000, real=True),
        "lowest": Number(-1000, 1000, real=True),
        "width": Number(1e-6, 1000, real=True),
        "buckets": Number(1, 1000),
        "gain": Number(0, 1, real=True),
        "doubt": Number(1e-6, 10**9, real=True),
        "surprise": Number(0, 1000, real=True),
        "half_life": Number(1, 10**9, real=True),
        "ttl": LIFE,
    },
    {},
)
_PAUSE: Final = Fields(
    {"cause": TEXT, "base": SPAN, "cap": SPAN},
    {"least": SPAN, "key": TEXT, "credits": FLAG, "error": OBJECT, "after": Number(1, MOST_TROUBLES)},
)
_RESULT: Final = Fields(
    {
        "key": TEXT,
        "head": TEXT,
        "tail": TEXT,
        "expires": Number(1, 10**9),
        "attempt": ATTEMPT,
        "ttl": LIFE,
        "follow": SPAN,
    },
    {},
)
_COST: Final[Mapping[str, Shape]] = {"credits": TEXT, "cost": AMOUNT, "said": TEXT}
_TASK: Final[Mapping[str, Shape]] = {"job": TEXT, "task_id": TEXT, "ttl": LIFE}

SHAPES: Final[Mapping[str, Shape]] = {
    "sent": Each(Tuple((TEXT, ATTEMPT, TEXT, TEXT, COUNT, FLAG))),
    "steps": Each(Tuple((TEXT, TEXT, LEASE))),
    "polls": Each(Tuple((TEXT, LEASE))),
    "come_from": Each(FLAG, keyed=True),
    "error": Fields({}, {}),
    "file": OBJECT,
    "stored": Each(
        Fields({"file": Fields({"size": COUNT}, {}), "objects": COUNT, "bytes": COUNT}, {}), keyed=True
    ),
    "result": _RESULT,
    "pause": _PAUSE,
    "why": _PAUSE,
    "task_ids": Each(TEXT),
    "prices": Each(AMOUNT, keyed=True),
    "caps": Fields(
        {"never": TEXT},
        {"day": AMOUNT, "lane": AMOUNT, "lanes": Each(AMOUNT, keyed=True), "refuse": TEXT},
    ),
    "quotas": Each(
        Fields(
            {
                "account": TEXT,
                "key": TEXT,
                "creates": COUNT,
                "creates_span": SPAN,
                "polls": COUNT,
                "polls_span": SPAN,
                "max_in_flight": COUNT,
                "margin": SPAN,
            },
            {},
        )
    ),
    "reports": Each(
        OneOf(
            "what",
            {
                "polled": Fields(
                    {"job": TEXT, "lease": LEASE, "answer": TEXT, "delay": SPAN},
                    {
                        "task_id": TEXT,
                        "sure": FLAG,
                        "attempt": ATTEMPT,
                        "too_often": FLAG,
                        "imageless": FLAG,
                        "raw": TEXT,
                    },
                ),
                "task_succeeded": Fields(
                    {**_TASK, "outcome": TEXT, "urls": Each(TEXT)},
                    {
                        **_COST,
                        "attempt": ATTEMPT,
                        "relative": COUNT,
                        "learn": _LEARN,
                        "copy": SPAN,
                        "result": _RESULT,
                    },
                ),
                "task_failed": Fields(
                    {**_TASK, "outcome": TEXT, "error": OBJECT, "grace": SPAN},
                    {
                        **_COST,
                        "owed": FLAG,
                        "attempt": ATTEMPT,
                        "again": SPAN,
                        "raw": TEXT,
                        "pause": _PAUSE,
                    },
                ),
                "task_lost": Fields({**_TASK, "error": OBJECT, "grace": SPAN}, {"foreign": FLAG}),
            },
        )
    ),
}
"""By the name of the argument. An argument without a shape may be any object."""

NUMBERS: Final[Mapping[str, Number]] = {
    "priority": Number(0, 9),
    "attempt": ATTEMPT,
    "ttl": LIFE,
    "remember": LIFE,
    "key_ttl": Number(0, 10**12),
    "batch": Number(0, 10**6),
    "copies": Number(0, 10**6),
}
"""The bounds of numbers among the arguments that are narrower than those of all numbers."""


def shape_of_number(name: str) -> Number:
    """The bounds of a number among the arguments."""
    return NUMBERS.get(name, Number())


def shape_of_json(name: str) -> Shape:
    """The shape of a JSON argument."""
    return SHAPES.get(name, OBJECT)
