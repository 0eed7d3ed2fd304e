"""Scripts as typed objects: a class has the arguments of one script and reads its reply.

So mypy rejects a call that lacks an argument, a number that a script cannot handle is refused before it is
sent, and synchronous and asynchronous callers share one definition. The script checks its arguments once
more, before its first write (:mod:`limner.ledger.scripts.shapes`).
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from types import NoneType, UnionType
from typing import (
    Any,
    ClassVar,
    Final,
    Generic,
    Literal,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from limner.ledger.layout.constants import LARGEST
from limner.ledger.scripts.assembly import script_text
from limner.ledger.scripts.shapes import DEEPEST, shape_of_json, shape_of_number

Answer = TypeVar("Answer")
Number = TypeVar("Number", int, float)
Json = Mapping[str, Any] | Sequence[Any]
"""A JSON argument."""
LONGEST: Final = 16_000_000
"""The most characters of a text argument. The provider's answers and the requests are far shorter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Script(Generic[Answer]):
    """A call of the script ``lua/NAME.lua``. Its fields are the arguments: fields of ``A`` in Lua."""

    NAME: ClassVar[str]

    def read(self, reply: Any) -> Answer:
        """The script's reply, converted to Python types."""
        raise NotImplementedError

    def arguments(self) -> list[str]:
        """The encoded arguments; raises ValueError for a number or text that no script can handle."""
        return [
            codec.write(self.NAME, name, getattr(self, name))
            for name, codec in _signature(cast("Any", type(self)))
        ]

    @classmethod
    def text(cls) -> str:
        """The Lua text that is sent to Redis."""
        return _text(cast("Any", cls))

    @classmethod
    def sha(cls) -> str:
        """The SHA-1 digest under which Redis caches the script."""
        return _sha(cast("Any", cls))


class YesOrNo(Script[bool]):
    """A script that either makes its transition or refuses to."""

    __slots__ = ()

    def read(self, reply: Any) -> bool:
        """True if the script made its transition."""
        return bool(reply)


class Count(Script[int]):
    """A script that replies with a number."""

    __slots__ = ()

    def read(self, reply: Any) -> int:
        """The number."""
        return int(reply)


# The parameter is Any because mypy takes these classes for unhashable.
@cache
def _text(script: Any) -> str:
    signature = list(enumerate(_signature(script), start=2))
    reads = ", ".join(f"{name} = {codec.read(at)}" for at, (name, codec) in signature)
    checks = [line for _, (name, codec) in signature for line in codec.check(name)]
    return script_text(script.NAME, "\n".join([f"local A = {{{reads}}}", *checks, ""]))


@cache
def _sha(script: Any) -> str:
    # Redis identifies scripts by SHA-1. Security does not depend on it.
    return hashlib.sha1(_text(script).encode(), usedforsecurity=False).hexdigest()


def counted(name: str, value: Number) -> Number:
    """The number, if it is exact in Lua. Otherwise raises ValueError with the name."""
    if not -LARGEST < value < LARGEST:
        raise ValueError(f"{name}: {value!r} is no number that can be counted with")
    return value


def _clean(text: str) -> str:
    """The text without halves of characters, which neither UTF-8 nor the JSON of Lua can have."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _text_of(script: str, name: str, value: str | None) -> str:
    if value is not None and len(value) > LONGEST:
        raise ValueError(f"{script}: {name}: a text of {len(value)} characters is too long")
    return _clean(value or "")


def _flag_of(_script: str, _name: str, value: bool) -> str:
    return "1" if value else ""


def _number_of(script: str, name: str, value: float | None) -> str:
    if value is None:
        return ""
    return repr(counted(f"{script}: {name}", value))


def _json_of(script: str, name: str, value: Json | None) -> str:
    if value is None:
        return ""
    return json.dumps(_sane(f"{script}: {name}", value, DEEPEST), separators=(",", ":"))


def _sane(name: str, value: Any, depth: int) -> Any:
    """The value as JSON that Lua can decode and encode again; raises ValueError with the name."""
    if depth < 0:
        raise ValueError(f"{name}: is nested too deeply")
    match value:
        case str():
            return _clean(value)
        case None | bool():
            return value
        case int() | float():
            return counted(name, value)
        case Mapping():
            return {_clean(str(key)): _sane(f"{name}.{key}", each, depth - 1) for key, each in value.items()}
    return [_sane(name, each, depth - 1) for each in value]


def _no_checks(_name: str) -> list[str]:
    return []


def _check_number(name: str) -> list[str]:
    return list(shape_of_number(name).check(f"A.{name}", name))


def _check_json(name: str) -> list[str]:
    refusal = f"refuse('{name}', 'has a number that is none, or is nested too deeply')"
    return [
        f"if not encodable(A.{name}, {DEEPEST}) then {refusal} end",
        *shape_of_json(name).check(f"A.{name}", name),
    ]


@dataclass(frozen=True, slots=True)
class _Codec:
    """The encoding of an argument of one type: how Python writes it, and how Lua reads and checks it."""

    write: Callable[[str, str, Any], str]
    lua: str
    """The Lua that reads the text ``ARGV[n]``."""
    checks: Callable[[str], list[str]] = _no_checks
    optional: bool = False

    def read(self, at: int) -> str:
        """The Lua that reads the argument at that place."""
        value = self.lua.replace("ARGV", f"ARGV[{at}]")
        return f"ARGV[{at}] ~= '' and {value} or nil" if self.optional else value

    def check(self, name: str) -> list[str]:
        """The Lua that refuses an absurd argument."""
        lines = self.checks(name)
        return [f"if A.{name} ~= nil then", *lines, "end"] if lines and self.optional else lines


_TEXT: Final = _Codec(_text_of, "ARGV")
_FLAG: Final = _Codec(_flag_of, "ARGV == '1'")
# A text that is no number stays one, and is refused.
_NUMBER: Final = _Codec(_number_of, "(tonumber(ARGV) or ARGV)", _check_number)
_JSON: Final = _Codec(_json_of, "cjson.decode(ARGV)", _check_json)


@cache
def _signature(script: Any) -> tuple[tuple[str, _Codec], ...]:
    hints = get_type_hints(script)
    return tuple((field.name, _codec(hints[field.name])) for field in fields(script))


def _codec(hint: Any) -> _Codec:
    options = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    kind = next(option for option in options if option is not NoneType)
    if kind is bool:
        return _FLAG
    if kind in (int, float):
        codec = _NUMBER
    elif get_origin(kind) is Literal or (isinstance(kind, type) and issubclass(kind, str)):
        codec = _TEXT
    else:
        codec = _JSON
    return replace(codec, optional=NoneType in options)
