"""The documentation and the messages name no package of ours that an index would have to have.

Limner is on no package index yet: a name there could become somebody else's. It is installed from a path.
"""

import re
from typing import Final

import pytest

from tests.repository import ROOT, committed

FOLDERS: Final = ("limner/", "sandbox/", "worker/", "config/", "provider/", "tasks/", "examples/", "docs/")
COMMAND: Final = re.compile(
    r"\b(?:(?:pip3?|pipx|uv|poetry|pdm)\s+(?:pip\s+)?(?:install|add|run)|uvx)\s+([^`#\n;)]*)"
)
NAME: Final = re.compile(r"""(?<![\w/.@-])limner(?![\w/.-])""")
EXTRA: Final = re.compile(r"(?<![\w/.])limner\[[\w,]+\](?! @)")

TEXTS: Final = [
    name
    for name in committed()
    if name.endswith(".md") or (name.endswith((".py", ".toml", ".yml")) and name.startswith(FOLDERS))
]


def faults(text: str) -> list[str]:
    """The commands that install Limner by its name, and the mentions of its extras by that name."""
    named = [command[0].strip() for command in COMMAND.finditer(text) if NAME.search(command[1])]
    return [*named, *EXTRA.findall(text)]


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_installs_limner_from_a_path(name: str) -> None:
    assert faults((ROOT / name).read_text("utf-8")) == []


def test_the_readme_says_from_where_limner_is_installed() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert "on no package index yet" in readme
    assert "pip install /path/to/this/checkout" in readme


@pytest.mark.parametrize(
    "text",
    [
        "pip install limner",
        'pip install -U "limner[cli]"',
        "pip install limner==0.1.0 redis",
        "`uv add limner`",
        "uv pip install redis limner",
        "uvx limner status",
        "pip install\nlimner",
        "the extra `limner[cli]`",
    ],
)
def test_a_package_that_no_index_has_is_found(text: str) -> None:
    assert faults(text)


@pytest.mark.parametrize(
    "text",
    [
        "pip install /path/to/this/checkout",
        'pip install "/path/to/limner[cli]"',
        "pip install ./dist/limner-0.1.0-py3-none-any.whl",
        "pip install '.[sandbox]'",
        "pip install redis`, and `limner` finds it",
    ],
)
def test_a_path_is_no_fault(text: str) -> None:
    assert faults(text) == []
