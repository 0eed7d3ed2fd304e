"""Assembles the text of a script from its arguments, the layout, and the functions that it calls.

A part or script names the parts that it uses in its first line, ``-- Uses: record, wakeup.``
"""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.resources import files
from typing import Final

from limner.ledger.layout import constants
from limner.ledger.layout.fields import FIELDS, NUMBERS, TEXTS
from limner.ledger.layout.keys import KEYS

_USES: Final = re.compile(r"^-- Uses: ([\w, ]+)\.\n")
_COMMENT: Final = re.compile(r"^\s*--.*\n|\s--\s.*$", re.MULTILINE)
_FUNCTION: Final = re.compile(r"^local function (\w+)\((?:[^\n]*\bend\n|.*?^end\n)", re.MULTILINE | re.DOTALL)
_STRING: Final = re.compile(r"'[^'\n]*'")
_WORD: Final = re.compile(r"\w+")
_FIELD: Final = re.compile(r"\bjob\.(\w+)")
HEAD_KEYS: Final = ("JOB", "DAMAGED")
"""The keys that the head of each script names."""
_HEAD_CONSTANTS: Final = ("LARGEST", "KEEP_DROPPED")
_LUA: Final = files("limner.ledger") / "lua"


def source(name: str) -> str:
    """The source of the script with that name."""
    return (_LUA / f"{name}.lua").read_text("utf-8")


@cache
def part(name: str) -> str:
    """The source of the part with that name."""
    return (_LUA / "parts" / f"{name}.lua").read_text("utf-8")


def names_in(folder: str = "") -> list[str]:
    """The names of the scripts, or of the parts with the folder ``parts``."""
    found = (_LUA / folder).iterdir() if folder else _LUA.iterdir()
    return sorted(file.name.removesuffix(".lua") for file in found if file.name.endswith(".lua"))


def uses(text: str) -> list[str]:
    """The parts that a script or part names in its first line."""
    found = _USES.match(text)
    return [name.strip() for name in found[1].split(",")] if found else []


def parts_of(name: str) -> list[str]:
    """The parts of a script, each one after the parts that it uses."""
    ordered: dict[str, None] = {}

    def add(used: Iterable[str]) -> None:
        for each in used:
            if each not in ordered:
                add(uses(part(each)))
                ordered[each] = None

    add(uses(source(name)))
    return list(ordered)


def script_text(name: str, arguments: str) -> str:
    """The text of a script that is sent to Redis. ``arguments`` is the Lua that reads ``A`` from ARGV.

    Functions and constants become fields of one table. A script creates its closures anew with each call, and
    each local that a closure captures costs as much as the closure.
    """
    body = _COMMENT.sub("", source(name))
    functions = [chunk for each in parts_of(name) for chunk in _functions(each)]
    kept: dict[str, str] = {}
    needed = _names(body)
    for function, text in reversed(functions):
        if function in needed:
            kept[function] = text
            needed |= _names(text)
    code = "".join([*reversed(kept.values()), body])
    known = dict(_known(needed, code))
    fields = [f"{field} = {value}" for field, value in {**known, **dict.fromkeys(kept, "0")}.items()]
    table = f"local L = {{{', '.join(fields)}}}\n"
    return "".join([_head(), arguments, table, _in_table(code, kept, known)])


@cache
def _head() -> str:
    """The lines before the arguments, with the few names that they use."""
    text = _COMMENT.sub("", (_LUA / "head" / "head.lua").read_text("utf-8"))
    values = [f"P .. '{KEYS[name].name}'" for name in HEAD_KEYS]
    lines = [f"local {name} = {value}\n" for name, value in zip(HEAD_KEYS, values, strict=True)]
    lines += [f"local {name} = {getattr(constants, name)}\n" for name in _HEAD_CONSTANTS]
    return "".join([_CLOCK, *lines, text])


_CLOCK: Final = """\
local P = KEYS[1]
local NOW = tonumber(ARGV[1])
if not NOW then
  local time = redis.call('TIME')
  NOW = time[1] * 1000 + math.floor(time[2] / 1000)
end
"""


def _known(needed: set[str], code: str) -> Iterator[tuple[str, str]]:
    """The keys, constants and fields that the script uses, with their values in Lua."""
    yield from ((name, f"P .. '{key.name}'") for name, key in KEYS.items() if name in needed)
    for name, value in vars(constants).items():
        if name in needed and isinstance(value, int | str):
            yield name, repr(value)
    if "FIELDS" in needed:
        # A script loads only the fields that it reads or writes.
        used = {"v", *_FIELD.findall(code)}
        numbers = sorted((name for name in NUMBERS if name in used), key=lambda name: name != "v")
        names = [*numbers, *(name for name in TEXTS if name in used)]
        yield "FIELDS", "{" + ", ".join(f"'{name}'" for name in names) + "}"
        yield "NUMBERS", str(len(numbers))
        yield (
            "REQUIRED",
            "{" + ", ".join(f"'{each.name}'" for each in FIELDS if each.always and each.name in used) + "}",
        )


def _in_table(code: str, functions: Iterable[str], known: Iterable[str]) -> str:
    called, named = "|".join(functions), "|".join(known)
    parts = _STRING.split(code)
    strings = _STRING.findall(code)
    for at, part in enumerate(parts):
        text = re.sub(rf"^local function ({called})\(", r"function L.\1(", part, flags=re.MULTILINE)
        text = re.sub(rf"(?<![\w.:])({called})\(", r"L.\1(", text) if called else text
        parts[at] = re.sub(rf"(?<![\w.])({named})(?!\w)", r"L.\1", text) if named else text
    return "".join(part + string for part, string in zip(parts, [*strings, ""], strict=True))


def _names(text: str) -> set[str]:
    return set(_WORD.findall(_STRING.sub("", text)))


def _functions(name: str) -> Iterator[tuple[str, str]]:
    text = _COMMENT.sub("", part(name))
    for found in _FUNCTION.finditer(text):
        yield found[1], found[0]
