"""The phrases that the texts of the command line are made of."""

from collections.abc import Mapping
from typing import Any, Final

Detail = Mapping[str, Any]

_YEARS: Final = 1e9


def seconds(number: float) -> str:
    """A duration, to the tenth of a second."""
    return f"{number:.1f} s"


def lasting(number: float | None) -> str:
    """The length of a pause. None, and a length of many years, stand for no end."""
    return "until somebody resumes it" if number is None or number > _YEARS else f"for {seconds(number)}"


def counted(number: int, noun: str) -> str:
    """``1 image``, ``2 images``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def answer(error: Any) -> str:
    """The provider's answer, with its codes."""
    if not isinstance(error, Mapping):
        return str(error)
    codes = [f"code {error['code']}"] if "code" in error else []
    # The provider sends its codes inside HTTP 200 (contract 1.3), so only another status adds anything.
    if error.get("http_status", 200) != 200:
        codes.append(f"HTTP {error['http_status']}")
    told = str(error.get("cause", "no reason given")) + (f" ({', '.join(codes)})" if codes else "")
    return f"{told}: {error['message']}" if error.get("message") else told
