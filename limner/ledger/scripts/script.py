"""Scripts as typed objects: a class has the arguments of one script and reads its reply.

So mypy rejects a call that lacks an argument, a number that a script cannot handle is refused before it is
sent, and synchronous and asynchronous callers share one definition.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from types import NoneType, UnionType
from typing import Any, ClassVar, Final, Generic, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from limner.ledger.layout.constants import LARGEST
from limner.ledger.scripts.assembly import script_text

Answer = TypeVar("Answer")
Number = TypeVar("Number", int, float)
Json = Mapping[str, Any] | Sequence[Any]
"""A JSON argument. The code that makes it checks its numbers with :func:`counted`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Script(Generic[Answer]):
    """A call of the script ``lua/NAME.lua``. Its fields are the arguments: fields of ``A`` in Lua."""

    NAME: ClassVar[str]

    def read(self, reply: Any) -> Answer:
        """The script's reply, converted to Python types."""
        raise NotImplementedError

    def arguments(self) -> list[str]:
        """The encoded arguments; raises ValueError for a number that is too large for Lua."""
        return [
            write(self.NAME, name, getattr(self, name))
            for name, write, _ in _signature(cast("Any", type(self)))
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


# The parameter is Any because mypy takes these classes for unhashable.
@cache
def _text(script: Any) -> str:
    reads = ", ".join(
        f"{name} = {read(at)}" for at, (name, _, read) in enumerate(_signature(script), start=2)
    )
    return script_text(script.NAME, f"local A = {{{reads}}}\n")


@cache
def _sha(script: Any) -> str:
    # Redis identifies scripts by SHA-1. Security does not depend on it.
    return hashlib.sha1(_text(script).encode(), usedforsecurity=False).hexdigest()


def counted(name: str, value: Number) -> Number:
    """The number, if it is exact in Lua. Otherwise raises ValueError with the name."""
    if not -LARGEST < value < LARGEST:
        raise ValueError(f"{name}: {value!r} is no number that can be counted with")
    return value


def _text_of(_script: str, _name: str, value: str | None) -> str:
    return value or ""


def _flag_of(_script: str, _name: str, value: bool) -> str:
    return "1" if value else ""


def _number_of(script: str, name: str, value: float | None) -> str:
    if value is None:
        return ""
    return repr(counted(f"{script}: {name}", value))


def _json_of(_script: str, _name: str, value: Json | None) -> str:
    return "" if value is None else json.dumps(value, separators=(",", ":"))


Write = Callable[[str, str, Any], str]
Read = Callable[[int], str]

_TEXT: Final[tuple[Write, Read]] = (_text_of, lambda at: f"ARGV[{at}]")
_SOME_TEXT: Final[tuple[Write, Read]] = (_text_of, lambda at: f"ARGV[{at}] ~= '' and ARGV[{at}] or nil")
_NUMBER: Final[tuple[Write, Read]] = (_number_of, lambda at: f"assert(tonumber(ARGV[{at}]))")
_SOME_NUMBER: Final[tuple[Write, Read]] = (_number_of, lambda at: f"tonumber(ARGV[{at}])")
_FLAG: Final[tuple[Write, Read]] = (_flag_of, lambda at: f"ARGV[{at}] == '1'")
_JSON: Final[tuple[Write, Read]] = (_json_of, lambda at: f"cjson.decode(ARGV[{at}])")
_SOME_JSON: Final[tuple[Write, Read]] = (
    _json_of,
    lambda at: f"ARGV[{at}] ~= '' and cjson.decode(ARGV[{at}]) or nil",
)


@cache
def _signature(script: Any) -> tuple[tuple[str, Write, Read], ...]:
    hints = get_type_hints(script)
    return tuple((field.name, *_codec(hints[field.name])) for field in fields(script))


def _codec(hint: Any) -> tuple[Write, Read]:
    options = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    optional = NoneType in options
    kind = next(option for option in options if option is not NoneType)
    if kind is bool:
        return _FLAG
    if kind in (int, float):
        return _SOME_NUMBER if optional else _NUMBER
    if isinstance(kind, type) and issubclass(kind, str):
        return _SOME_TEXT if optional else _TEXT
    return _SOME_JSON if optional else _JSON
