"""The first words of docstrings: a docstring begins with what its object is or does."""

import ast
import re
from typing import Final

import pytest

from tests.repository import ROOT, committed

QUESTION: Final = re.compile(r"\W*(what|how|why|when|where|whether|whose|who|which)\b", re.IGNORECASE)
"""An indirect question, which makes the reader look for its answer."""


def questions(source: str) -> list[tuple[int, str]]:
    """The lines and first words of docstrings that begin with a question word.

    A string under a constant or a field counts as its docstring.
    """
    strings = [
        (node.lineno, node.value.value)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    ]
    return sorted((line, match[1]) for line, text in strings if (match := QUESTION.match(text)))


def test_no_docstring_begins_with_a_question_word() -> None:
    names = [name for name in committed() if name.endswith(".py")]
    if not names:
        pytest.skip("an exported tree has no list of its files")
    beginnings = {name: questions((ROOT / name).read_text("utf-8")) for name in names}
    assert {name: lines for name, lines in beginnings.items() if lines} == {}


def test_questions_are_detected_in_every_kind_of_docstring() -> None:
    source = (
        '"""What it is."""\n'
        "LIMIT = 5\n"
        '"""How many there are."""\n'
        "class Job:\n"
        '    """A job."""\n'
        "    state: str\n"
        '    """Whether it has ended."""\n'
        "    async def run(self) -> None:\n"
        '        """``When`` it runs."""\n'
        '        text = "What is no docstring."\n'
        "def whatever() -> None:\n"
        '    """Whatever it is."""\n'
    )
    assert questions(source) == [(1, "What"), (3, "How"), (7, "Whether"), (9, "When")]
