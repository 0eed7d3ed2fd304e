"""The code of the documentation: blocks of Python, and commands for a shell."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tests.repository import ROOT

__all__ = ["PAGES", "Block", "Command", "blocks", "commands", "read"]

PAGES: Final = sorted(
    path.relative_to(ROOT).as_posix() for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"))
)

_FENCE: Final = re.compile(
    r"^(?:<!-- not run: (?P<reason>[^\n]+) -->\n)?```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_SPAN: Final = re.compile(r"`([^`]+)`")
_COMMAND: Final = re.compile(r"(?:python -m|make)\s")
_SHELLS: Final = frozenset({"sh", "console"})


@dataclass(frozen=True)
class Block:
    """A fenced block, the line on its page where its text begins, and the reason if it cannot run."""

    language: str
    text: str
    line: int
    not_run: str | None


@dataclass(frozen=True)
class Command:
    """A command line, and its place in the documentation."""

    text: str
    place: str


def read(page: str) -> str:
    """The page's text."""
    return (ROOT / page).read_text("utf-8")


def blocks(text: str) -> list[Block]:
    """All fenced blocks of a page. ``<!-- not run: REASON -->`` precedes a block that cannot run."""
    return [
        Block(fence["language"], fence["text"], text.count("\n", 0, fence.start("text")) + 1, fence["reason"])
        for fence in _FENCE.finditer(text)
    ]


def commands(page: str) -> Iterator[Command]:
    """The calls of our own programs and of make, in shell blocks and in code spans."""
    text = read(page)
    for block in blocks(text):
        if block.language in _SHELLS:
            for line, command in enumerate(block.text.splitlines(), block.line):
                if _COMMAND.match(command := command.removeprefix("$ ").removeprefix(".venv/bin/")):
                    yield Command(command, f"{page}:{line}")
    prose = _FENCE.sub(lambda fence: "\n" * fence[0].count("\n"), text)
    for span in _SPAN.finditer(prose):
        if _COMMAND.match(span[1]):
            yield Command(" ".join(span[1].split()), f"{page}:{prose.count(chr(10), 0, span.start()) + 1}")
