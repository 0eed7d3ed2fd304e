"""The ratchet on sizes: a list of what is larger than usual, with its size, which may only shrink.

``python -m tests.sizes`` rewrites the list after files have moved or shrunk.
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
"""The limits below which no entry is needed: lines of a file, lines of a function, and its parameters."""
SUFFIXES: Final = frozenset({".py", ".lua", ".md"})
GROWING: Final = frozenset({"CHANGELOG.md"})
"""Files that may be long."""

Sizes = Mapping[str, Mapping[str, int]]
"""Sizes by kind, as in USUAL, and by name: a file's path, or ``path: Class.function``."""


def measured() -> dict[str, dict[str, int]]:
    """Everything in the repository that is larger than usual."""
    sizes: dict[str, dict[str, int]] = {kind: {} for kind in USUAL}
    for name in committed():
        if Path(name).suffix in SUFFIXES and name not in GROWING:
            text = (ROOT / name).read_text("utf-8")
            for kind, item, size in _sizes(name, text):
                if size > USUAL[kind]:
                    sizes[kind][item] = max(size, sizes[kind].get(item, 0))
    return sizes


def _sizes(name: str, text: str) -> Iterator[tuple[str, str, int]]:
    yield "lines", name, len(text.splitlines())
    # Tests have no limit, because a long scenario is better in one piece.
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
    names = [parameter.arg for parameter in (*given.posonlyargs, *given.args)]
    own = names[:1] in (["self"], ["cls"])
    return len(names) - own + len(given.kwonlyargs) + bool(given.vararg) + bool(given.kwarg)


def listed(path: Path = LIST) -> Sizes:
    """The allowed sizes."""
    return tomllib.loads(path.read_text("utf-8"))


def written(sizes: Sizes) -> str:
    """The text of the list's file."""
    tables = [
        "\n".join([f"[{kind}] # more than {usual}", *starmap(_line, sorted(sizes[kind].items()))])
        for kind, usual in USUAL.items()
    ]
    return "\n\n".join(["# Written by `python -m tests.sizes`. An entry may shrink, or go.", *tables, ""])


def _line(name: str, size: int) -> str:
    return f'"{name}" = {size}'


def complaints(allowed: Sizes, actual: Sizes) -> list[str]:
    """A message for each entry that differs from the measured size, with the line to write."""
    return [
        f"[{kind}] {name}: {_complaint(name, allowed[kind].get(name), actual[kind].get(name), USUAL[kind])}"
        for kind in USUAL
        for name in sorted({*allowed[kind], *actual[kind]})
        if allowed[kind].get(name) != actual[kind].get(name)
    ]


_OR_SAY_WHY: Final = "split it, or say in the commit why not and"


def _complaint(name: str, allowed: int | None, actual: int | None, usual: int) -> str:
    if actual is None:
        return f"is gone, or no more than {usual}: remove its line"
    if allowed is None:
        return f"has {actual}, more than {usual}: {_OR_SAY_WHY} add {_line(name, actual)}"
    if actual < allowed:
        return f"has shrunk from {allowed}: write {_line(name, actual)}"
    return f"has grown from {allowed}: {_OR_SAY_WHY} write {_line(name, actual)}"


if __name__ == "__main__":
    LIST.write_text(written(measured()), "utf-8")
