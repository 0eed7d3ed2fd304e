"""The names of tests on the pages: ``[`path`](../path) (`test_name`, …)``."""

import ast
import re
from typing import Final

from tests.repository import ROOT

__all__ = ["REFERENCE", "defined"]

REFERENCE: Final = re.compile(r"\[`(tests/[^`]+)`\]\(\.\./([^)]+)\) \(((?:`test_\w+`(?:, )?)+)\)")


def defined(path: str) -> set[str]:
    """The functions of a test file."""
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
