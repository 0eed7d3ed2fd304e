"""The head of an HTTP answer: its status and its headers."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO, Final

from limner._fetch.faults import FetchError, FetchFault

LONGEST_HEAD: Final = 64 * 2**10
"""Bytes of the status line and the headers, including those of interim answers."""
MOST_HEADERS: Final = 100
MOST_INTERIM: Final = 5
"""Interim answers (1xx) before the real one. Servers send one or two."""

_STATUS_LINE: Final = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [^\r\n]*)?\r?\n")
_HEADER: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\x00]*?)[ \t]*\r?\n")


@dataclass(frozen=True)
class Head:
    """The head of an answer."""

    status: int
    headers: Mapping[str, tuple[str, ...]]
    """By name in lower case, the values of each header, one for each line."""
    minor_version: int = 1

    def values(self, name: str) -> list[str]:
        """The values of a header that is a list, in lower case."""
        lines = self.headers.get(name, ())
        return [value.strip().lower() for line in lines for value in line.split(",") if value.strip()]


def read_head(reader: BinaryIO) -> Head:
    """The head of the answer that follows; raises FetchError."""
    lines = _Lines(reader)
    for _ in range(MOST_INTERIM + 1):
        head = _read_one(lines)
        if head.status >= 200:
            return head
        if head.status == 101:
            raise malformed("an answer that changes the protocol")
    raise malformed("too many interim answers")


def malformed(reason: str) -> FetchError:
    """The error about an answer that is not HTTP."""
    return FetchError(FetchFault.MALFORMED, reason)


def cut_off() -> FetchError:
    """The error about a connection that ended before the answer did."""
    return FetchError(FetchFault.CUT_OFF, "the connection ended before the answer did")


class _Lines:
    """Lines of a head, which is bounded as a whole."""

    def __init__(self, reader: BinaryIO) -> None:
        self._reader = reader
        self._left = LONGEST_HEAD

    def next(self) -> bytes:
        line = self._reader.readline(self._left)
        self._left -= len(line)
        if line.endswith(b"\n"):
            return line
        if self._left <= 0:
            raise malformed(f"an answer whose head has more than {LONGEST_HEAD} bytes")
        raise cut_off()


def _read_one(lines: _Lines) -> Head:
    status = _STATUS_LINE.fullmatch(lines.next())
    if not status:
        raise malformed("not an answer in HTTP/1.0 or HTTP/1.1")
    headers: dict[str, tuple[str, ...]] = {}
    for _ in range(MOST_HEADERS + 1):
        line = lines.next()
        if line in (b"\r\n", b"\n"):
            return Head(int(status[2]), headers, int(status[1]))
        header = _HEADER.fullmatch(line)
        if not header:
            raise malformed("an answer with a line that is not a header")
        name, value = header[1].decode("ascii").lower(), header[2].decode("latin-1")
        headers[name] = (*headers.get(name, ()), value)
    raise malformed(f"an answer with more than {MOST_HEADERS} headers")
