"""The variants of faults of result files and of the links to them (contract 4)."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

__all__ = [
    "AGENTS",
    "EXPIRED",
    "GZIP",
    "HUGE",
    "IMAGE_FORMATS",
    "LINKS",
    "REFUSED_AGENTS",
    "SLOW",
    "TRUNCATED",
    "TYPES",
]

REFUSED_AGENTS: Final = ("python-urllib/", "python-requests/")
"""The beginnings of the User-Agents that the file host always refuses, in lower case."""
IMAGE_FORMATS: Final = ("jpeg", "webp", "gif")
"""The formats other than PNG that a task's files can have, although their names end in ``.png``."""
TRUNCATED: Final = ("half", "reset", "chunked", "undeclared", "shortened", "nothing")
"""Half a file under the length of a whole one, closed or reset; in chunks without the last one; until the
connection ends; under its own length; not a byte."""
AGENTS: Final = ("always", "agent")
"""Refused whatever the User-Agent is; unless it is that of a browser."""
EXPIRED: Mapping[str, int] = MappingProxyType({"403": 403, "404": 404, "410": 410})
"""By variant of ``file_expired``, the status."""
SLOW: Final = ("drip", "stall", "head")
"""In many small pieces; the second half late; everything late."""
TYPES: Mapping[str, str | None] = MappingProxyType(
    {
        "text": "text/plain",
        "html": "text/html",
        "octets": "application/octet-stream",
        "jpeg": "image/jpeg",
        "png": "image/png",
        "none": None,
    }
)
"""By variant of ``file_type``, the ``Content-Type``; None for a file without one."""
HUGE: Final = ("declared", "undeclared")
"""Under a declared length; in chunks."""
GZIP: Final = ("bomb", "picture", "untrue")
"""A bomb; the picture, packed; the picture, as it is, under the header of a packed one."""
LINKS: Mapping[str, tuple[str, Any]] = MappingProxyType(
    {
        "500": ("code", 500),
        "429": ("code", 429),
        "401": ("code", 401),
        "422": ("code", 422),
        "null": ("data", None),
        "object": ("data", {"url": "https://tempfile.example/a.png"}),
        "private": ("data", "http://169.254.169.254/latest/meta-data/"),
        "script": ("data", "javascript:alert(1)"),
        "html": ("page", "502"),
        "drop": ("drop", None),
        "hang": ("hang", None),
    }
)
"""By variant of the fault ``link_odd``: the kind of the answer, and its data, its code or its page."""
