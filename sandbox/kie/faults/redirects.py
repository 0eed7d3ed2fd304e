"""The targets of the redirects of result files."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

__all__ = ["REDIRECTS"]

Target = Callable[[str, str], str]
"""Builds the ``Location`` from the address of the stand-in and the path of the file."""

_ONCE_MORE: Final = "/redirect/302"


def _moved(hops: int) -> Target:
    return lambda base_url, path: f"{base_url}{_ONCE_MORE * (hops - 1)}/moved{path}"


def _fixed(location: str) -> Target:
    return lambda _base_url, _path: location


REDIRECTS: Mapping[str, Target] = MappingProxyType(
    {
        "once": _moved(1),
        "relative": lambda _base_url, path: f"/moved{path}",
        "three": _moved(3),
        "four": _moved(4),
        "loop": lambda base_url, path: base_url + path,
        "metadata": _fixed("http://169.254.169.254/latest/meta-data/"),
        "mapped": _fixed("https://[::ffff:169.254.169.254]/latest/meta-data/"),
        "loopback": _fixed("http://127.0.0.1:1/"),
        "local_name": _fixed("https://localhost/"),
        "file": _fixed("file:///etc/passwd"),
        "nowhere": _fixed(""),
    }
)
"""By variant of the fault ``file_redirect``, its target.

``once`` to ``four`` are the numbers of redirects until the file, which is there; ``loop`` never ends. The
file is behind none of the others.
"""
