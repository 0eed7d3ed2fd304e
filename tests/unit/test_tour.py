"""The tour and the glossary name files and functions that exist."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.integration.docs.pages import read
from tests.repository import ROOT

PAGES: Final = ("docs/glossary.md", "docs/tour.md")
FOLDERS: Final = tuple(f"{path.name}/" for path in ROOT.iterdir() if path.is_dir())

REFERENCE: Final = re.compile(r"\[`([^`]+)`\]\(\.\./([^)]+)\)(?: \((`[^)]+`)\))?")
"""A link to a file, and the names that stand behind it: [`a/b.py`](../a/b.py) (`name`, `Class.name`)."""
LUA_FUNCTION: Final = re.compile(r"^local function (\w+)", re.MULTILINE)


@dataclass(frozen=True)
class Reference:
    """A file that a page names, and the names that the page gives to parts of it."""

    page: str
    label: str
    path: str
    names: tuple[str, ...]


def references(page: str) -> Iterator[Reference]:
    for label, path, names in REFERENCE.findall(read(page)):
        yield Reference(page, label, path, tuple(re.findall(r"`([^`]+)`", names)))


FOUND: Final = [reference for page in PAGES for reference in references(page)]


def names_of(path: Path) -> set[str]:
    """The names that a module or a script defines; those of a class as ``Class.name``, too."""
    text = path.read_text("utf-8")
    if path.suffix == ".lua":
        return {*LUA_FUNCTION.findall(text)}
    return {*_defined(ast.parse(text).body)}


def _defined(body: list[ast.stmt], prefix: str = "") -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield prefix + node.name
        elif isinstance(node, ast.ClassDef):
            yield prefix + node.name
            yield from _defined(node.body, f"{node.name}.")
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield prefix + node.target.id
        elif isinstance(node, ast.Assign):
            yield from (prefix + target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.Try):
            yield from _defined(node.body, prefix)


@pytest.mark.parametrize("reference", FOUND, ids=lambda reference: f"{reference.page} {reference.label}")
def test_a_file_exists_and_has_the_names_that_a_page_gives_it(reference: Reference) -> None:
    assert reference.label == reference.path
    path = ROOT / reference.path
    assert path.exists()
    if reference.names:
        assert {*reference.names} - names_of(path) == set()


@pytest.mark.parametrize("page", PAGES)
def test_every_path_on_a_page_is_a_link_that_is_checked(page: str) -> None:
    spans = re.findall(r"`([^`\s]+)`", read(page))
    paths = {span for span in spans if span.startswith(FOLDERS)}
    assert len(paths) > 10
    assert paths - {reference.label for reference in FOUND if reference.page == page} == set()


@pytest.mark.parametrize(
    ("path", "name", "there"),
    [
        ("limner/client.py", "Limner.submit", True),
        ("limner/client.py", "submit", False),
        ("limner/client.py", "Limner.queue", False),
        ("provider/codes.py", "CODES", True),
        ("limner/ledger/lua/parts/money.lua", "hold", True),
        ("limner/ledger/lua/parts/money.lua", "holds", False),
    ],
)
def test_a_name_that_a_file_does_not_define_is_found_out(path: str, name: str, there: bool) -> None:
    assert (name in names_of(ROOT / path)) is there
