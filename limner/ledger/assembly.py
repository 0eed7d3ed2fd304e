"""The text of a script: what it uses of the layout, its arguments, and only those functions that it calls.

A part or script names the parts that it builds on in its first line, ``-- Uses: record, bell.``
"""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.resources import files
from typing import Final

from limner.layout import constants
from limner.layout.fields import NUMBERS, TEXTS
from limner.layout.keys import KEYS

_USES: Final = re.compile(r"^-- Uses: ([\w, ]+)\.\n")
_COMMENT: Final = re.compile(r"^\s*--.*\n|\s--\s.*$", re.MULTILINE)
_FUNCTION: Final = re.compile(r"^local function (\w+)\((?:[^\n]*\bend\n|.*?^end\n)", re.MULTILINE | re.DOTALL)
_STRING: Final = re.compile(r"'[^'\n]*'")
_WORD: Final = re.compile(r"\w+")
_FIELD: Final = re.compile(r"\bjob\.(\w+)")
_LUA: Final = files("limner.ledger") / "lua"


def source(name: str) -> str:
    """The script of that name as it is written."""
    return (_LUA / f"{name}.lua").read_text("utf-8")


@cache
def part(name: str) -> str:
    """The part of that name as it is written."""
    return (_LUA / "parts" / f"{name}.lua").read_text("utf-8")


def names_in(folder: str = "") -> list[str]:
    """The scripts, or the parts."""
    found = (_LUA / folder).iterdir() if folder else _LUA.iterdir()
    return sorted(file.name.removesuffix(".lua") for file in found if file.name.endswith(".lua"))


def uses(text: str) -> list[str]:
    """The parts that a script or part builds on."""
    found = _USES.match(text)
    return [name.strip() for name in found[1].split(",")] if found else []


def parts_of(name: str) -> list[str]:
    """All parts of a script, each after those that it builds on."""
    ordered: dict[str, None] = {}

    def add(used: Iterable[str]) -> None:
        for each in used:
            if each not in ordered:
                add(uses(part(each)))
                ordered[each] = None

    add(uses(source(name)))
    return list(ordered)


def script_text(name: str, arguments: str) -> str:
    """The script as it is sent to Redis; ``arguments`` is the Lua that reads ``A`` from ARGV."""
    body = _COMMENT.sub("", source(name))
    functions = [chunk for each in parts_of(name) for chunk in _functions(each)]
    kept: list[str] = []
    needed = _names(body)
    for function, text in reversed(functions):
        if function in needed:
            kept.append(text)
            needed |= _names(text)
    code = "".join([*reversed(kept), body])
    return "".join([*_head(needed), *_fields(needed, code), arguments, code])


def _names(text: str) -> set[str]:
    return set(_WORD.findall(_STRING.sub("", text)))


def _functions(name: str) -> Iterator[tuple[str, str]]:
    text = _COMMENT.sub("", part(name))
    for found in _FUNCTION.finditer(text):
        yield found[1], found[0]


def _head(needed: set[str]) -> Iterator[str]:
    yield "local P = KEYS[1]\n"
    yield from (f"local {name} = P .. '{key.name}'\n" for name, key in KEYS.items() if name in needed)
    for name, value in vars(constants).items():
        if name in needed and isinstance(value, int | str):
            yield f"local {name} = {value!r}\n"
    yield "local NOW = tonumber(ARGV[1])\n"
    yield "if not NOW then\n"
    yield "  local time = redis.call('TIME')\n"
    yield "  NOW = time[1] * 1000 + math.floor(time[2] / 1000)\n"
    yield "end\n"


def _fields(needed: set[str], code: str) -> Iterator[str]:
    """The fields of a record that the script reads or writes: no more are loaded."""
    if "FIELDS" not in needed:
        return
    used = {"v", *_FIELD.findall(code)}
    numbers = sorted((name for name in NUMBERS if name in used), key=lambda name: name != "v")
    names = ", ".join(f"'{name}'" for name in [*numbers, *(name for name in TEXTS if name in used)])
    yield f"local FIELDS, NUMBERS = {{{names}}}, {len(numbers)}\n"
