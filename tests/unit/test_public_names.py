"""The documentation and the examples show public names only."""

import ast
from collections.abc import Iterator

import pytest

import limner
from tests.integration.docs.pages import PAGES, blocks, read
from tests.repository import ROOT, committed

PUBLIC = {"limner", "limner.errors", "limner.callbacks", "limner.callbacks.asgi"}
"""The modules that a web backend may import from. All other names of the package may change."""
EXAMPLES = [name for name in committed() if name.startswith("examples/") and name.endswith(".py")]


def imports(code: str) -> Iterator[tuple[str, str]]:
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.module, each.name) for each in node.names)
        elif isinstance(node, ast.Import):
            yield from ((each.name, "") for each in node.names)


def private(code: str) -> list[str]:
    """The imports from Limner that are not public."""
    found = []
    for module, name in imports(code):
        shown = module != "limner" or not name or name in limner.__all__ or f"limner.{name}" in PUBLIC
        if module.split(".")[0] == "limner" and not (module in PUBLIC and shown):
            found.append(f"{module} {name}".strip())
    return found


@pytest.mark.parametrize("page", PAGES)
def test_a_page_imports_public_names_only(page: str) -> None:
    code = [block.text for block in blocks(read(page)) if block.language == "python"]
    assert [name for text in code for name in private(text)] == []


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_imports_public_names_only(example: str) -> None:
    assert private((ROOT / example).read_text()) == []


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("from limner import Limner", []),
        ("from limner import errors", []),
        ("from limner import ledger", ["limner ledger"]),
        ("from limner.ledger import Ledger", ["limner.ledger Ledger"]),
        ("import limner._redis", ["limner._redis"]),
    ],
)
def test_a_private_name_is_found(code: str, found: list[str]) -> None:
    assert private(code) == found
