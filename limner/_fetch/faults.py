"""The ways in which a fetch fails."""

from enum import StrEnum
from typing import Final

LONGEST_MESSAGE: Final = 500
"""Characters. A host has up to 253."""


class FetchFault(StrEnum):
    """The kind of a failure."""

    FORBIDDEN = "forbidden"
    """The URL may not be fetched. Nothing left the machine but the requests that were redirected to it."""
    UNREACHABLE = "unreachable"
    """The host has no address, refuses connections, or has no valid certificate; or the proxy refuses it."""
    STATUS = "status"
    """The answer is not 200, or there are too many redirects."""
    TOO_LARGE = "too_large"
    TOO_SLOW = "too_slow"
    CUT_OFF = "cut_off"
    """The connection ended before the answer did."""
    ENCODED = "encoded"
    """The body is compressed, although that was not asked for."""
    MALFORMED = "malformed"
    """The answer is not HTTP/1.1, or contradicts itself."""


class FetchError(Exception):
    """A fetch that failed.

    The message is for a log: it may hold the scheme, the host and the beginning of the path, and never the
    rest of a URL. It has at most 500 characters.
    """

    def __init__(self, fault: FetchFault, message: str, status: int | None = None) -> None:
        message = message[:LONGEST_MESSAGE]
        # All three are arguments of the exception, so that it can be pickled.
        super().__init__(fault, message, status)
        self.fault = fault
        self.message = message
        self.status = status
        """The HTTP status, of an answer that was refused for it."""

    def __str__(self) -> str:
        return self.message
