"""Tests mirror the tree, except for the entries of ``tests/mirror.toml``, each with its reason."""

import ast
import tomllib
from pathlib import Path
from typing import Final

import pytest

from tests.repository import ROOT

PACKAGES: Final = ("limner", "provider", "config", "worker", "tasks", "sandbox", "release")
KINDS: Final = ("unit", "integration")

_LISTED: Final = tomllib.loads((ROOT / "tests" / "mirror.toml").read_text("utf-8"))
ELSEWHERE: Final[dict[str, tuple[str, str]]] = _LISTED["elsewhere"]
"""By module, the test that covers it, and the reason for having no test of its own."""
TOPICS: Final[dict[str, str]] = _LISTED["topics"]
"""Unit tests of something other than one module, each with its subject."""

PYTHON: Final = sorted(
    path.relative_to(ROOT).as_posix() for package in PACKAGES for path in (ROOT / package).rglob("*.py")
)
MODULES: Final = [path for path in PYTHON if Path(path).stem not in ("__init__", "__main__")]


def own_tests(module: str) -> list[str]:
    """The places for a test of the module."""
    path = Path(module)
    name = f"test_{path.stem.strip('_')}.py"
    return [(Path("tests") / kind / path.parent / name).as_posix() for kind in KINDS]


def there(paths: list[str]) -> list[str]:
    return [path for path in paths if (ROOT / path).exists()]


def named_in(test: str) -> tuple[set[str], set[str]]:
    """The dotted names that a test imports, and its strings, among them those of programs that it starts."""
    imported, strings = set[str](), set[str]()
    for node in ast.walk(ast.parse((ROOT / test).read_text("utf-8"))):
        match node:
            case ast.Import():
                imported |= {alias.name for alias in node.names}
            case ast.ImportFrom(module=str(module)):
                imported |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
            case ast.Constant(value=str(text)):
                strings.add(text)
    return imported, strings


def unit_tests() -> list[str]:
    """The tests of ``tests/unit`` below a package; those beside this one are of the repository."""
    found = (path.relative_to(ROOT) for path in (ROOT / "tests" / "unit").glob("*/**/test_*.py"))
    return sorted(path.as_posix() for path in found)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_has_a_test_of_its_own_or_a_line_on_the_list(module: str) -> None:
    tests = own_tests(module)
    assert there(tests) or module in ELSEWHERE, f"write {tests[0]}, or a line of [elsewhere]"


@pytest.mark.parametrize("module", ELSEWHERE)
def test_a_line_is_of_a_module_that_is_there_and_has_no_test_of_its_own(module: str) -> None:
    assert module in MODULES, f"{module} is gone: remove its line"
    assert there(own_tests(module)) == [], f"{module} has a test of its own: remove its line"


@pytest.mark.parametrize("module", ELSEWHERE)
def test_the_test_of_a_line_names_the_module_or_its_package_or_starts_its_program(module: str) -> None:
    test, why = ELSEWHERE[module]
    assert why
    name = module.removesuffix(".py").replace("/", ".")
    face, program = name.rpartition(".")[0], name.partition(".")[0]
    imported, strings = named_in(test)
    assert imported & {name, face} or strings & {name, program}, f"{test} has nothing of {name}"


@pytest.mark.parametrize("test", unit_tests())
def test_a_unit_test_mirrors_a_module_or_has_a_topic(test: str) -> None:
    mirrors = any(test in own_tests(module) for module in PYTHON)
    assert mirrors or test in TOPICS, f"{test} mirrors no module: rename it, or write a line of [topics]"
    assert not (mirrors and test in TOPICS), f"{test} mirrors a module: remove its line"


@pytest.mark.parametrize("test", TOPICS)
def test_a_topic_is_of_a_test_that_is_there(test: str) -> None:
    assert test in unit_tests(), f"{test} is gone: remove its line"
    assert TOPICS[test]
