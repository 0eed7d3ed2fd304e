"""JSON as bytes, with numbers that Python cannot write."""

import json
from typing import Any, Final

__all__ = ["INFINITE", "encoded"]

INFINITE: Final = "\x001e400"
"""A stand-in for the number 1e400, which is valid JSON and which most readers turn into infinity."""


def encoded(content: Any) -> bytes:
    """The content as JSON, with each :data:`INFINITE` as the number."""
    return json.dumps(content).replace(json.dumps(INFINITE), "1e400").encode()
