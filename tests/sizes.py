"""The ratchet on sizes: what is larger than usual is listed with its size, and may only shrink.

``python -m tests.sizes`` writes the list anew, after files have moved or shrunk.
"""

import ast
import tomllib
from collections.abc import Iterator, Mapping
from itertools import starmap
from pathlib import Path
from typing import Final

from tests.repository import ROOT, committed

__all__ = ["LIST", "USUAL", "complaints", "listed", "measured", "written"]

LIST: Final = Path(__file__).with_name("sizes.toml")
USUAL: Final = {"lines": 250, "function_lines": 60, "parameters": 8}
"""What needs no entry: the lines of a file, the lines of a function, and its parameters."""
SUFFIXES: Final = frozenset({".py", ".lua", ".md"})
GROWING: Final = frozenset({"CHANGELOG.md"})
"""Files that are not too long when they are long."""

Sizes = Mapping[str, Mapping[str, int]]
"""Sizes by kind, as in USUAL, and by name: of a file its path, of a function ``path: Class.function``."""


def measured() -> dict[str, dict[str, int]]:
    """Everything in the repository that is larger than usual."""
    found: dict[str, dict[str, int]] = {kind: {} for kind in USUAL}
    for name in committed():
        if Path(name).suffix in SUFFIXES and name not in GROWING:
            text = (ROOT / name).read_text("utf-8")
            for kind, what, size in _sizes(name, text):
                if size > USUAL[kind]:
                    found[kind][what] = max(size, found[kind].get(what, 0))
    return found


def _sizes(name: str, text: str) -> Iterator[tuple[str, str, int]]:
    yield "lines", name, len(text.splitlines())
    # A test is as long as its story.
    if name.endswith(".py") and not name.startswith("tests/"):
        for function, node in _functions(ast.parse(text)):
            yield "function_lines", f"{name}: {function}", (node.end_lineno or node.lineno) - node.lineno + 1
            yield "parameters", f"{name}: {function}", _parameters(node)


def _functions(
    tree: ast.AST, within: tuple[str, ...] = ()
) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for node in ast.iter_child_nodes(tree):
        place = within
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            place = (*within, node.name)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield ".".join(place), node
        yield from _functions(node, place)


def _parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    given = node.args
    names = [each.arg for each in (*given.posonlyargs, *given.args)]
    own = names[:1] in (["self"], ["cls"])
    return len(names) - own + len(given.kwonlyargs) + bool(given.vararg) + bool(given.kwarg)


def listed(path: Path = LIST) -> Sizes:
    """The sizes that are allowed."""
    return tomllib.loads(path.read_text("utf-8"))


def written(sizes: Sizes) -> str:
    """The list as a file."""
    tables = [
        "\n".join([f"[{kind}] # more than {usual}", *starmap(_line, sorted(sizes[kind].items()))])
        for kind, usual in USUAL.items()
    ]
    return "\n\n".join(["# Written by `python -m tests.sizes`. An entry may shrink, or go.", *tables, ""])


def _line(name: str, size: int) -> str:
    return f'"{name}" = {size}'


def complaints(allowed: Sizes, found: Sizes) -> list[str]:
    """A line for each entry that is not as it should be, with the line to write."""
    return [
        f"[{kind}] {name}: {_complaint(name, allowed[kind].get(name), found[kind].get(name), USUAL[kind])}"
        for kind in USUAL
        for name in sorted({*allowed[kind], *found[kind]})
        if allowed[kind].get(name) != found[kind].get(name)
    ]


_OR_SAY_WHY: Final = "split it, or say in the commit why not and"


def _complaint(name: str, allowed: int | None, found: int | None, usual: int) -> str:
    if found is None:
        return f"is gone, or no more than {usual}: remove its line"
    if allowed is None:
        return f"has {found}, more than {usual}: {_OR_SAY_WHY} add {_line(name, found)}"
    if found < allowed:
        return f"has shrunk from {allowed}: write {_line(name, found)}"
    return f"has grown from {allowed}: {_OR_SAY_WHY} write {_line(name, found)}"


if __name__ == "__main__":
    LIST.write_text(written(measured()), "utf-8")
