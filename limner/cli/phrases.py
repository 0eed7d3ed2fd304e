"""The phrases that the texts of the command line are made of."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

Detail = Mapping[str, Any]

_YEARS: Final = 1e9
_UNIT: Final = 1000
_UNITS: Final = ("kB", "MB", "GB", "TB", "PB")


def seconds(number: float) -> str:
    """A duration, to the tenth of a second."""
    return f"{number:.1f} s"


def clock(at: datetime) -> str:
    """A time, to the second."""
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")


def lasting(number: float | None) -> str:
    """The length of a pause. None, and a length of many years, stand for no end."""
    return "until somebody resumes it" if number is None or number > _YEARS else f"for {seconds(number)}"


def counted(number: int, noun: str) -> str:
    """``1 image``, ``2 images``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def sized(number: int) -> str:
    """``812 bytes``, ``3.2 MB``."""
    if number < _UNIT:
        return counted(number, "byte")
    power = 1
    # What would be rounded to 1000.0 is 1.0 of the next unit.
    while power < len(_UNITS) and number / _UNIT**power >= _UNIT - 0.05:
        power += 1
    return f"{number / _UNIT**power:.1f} {_UNITS[power - 1]}"


def then(what: str, detail: Detail) -> str:
    """The next step of a job, and the time until it."""
    # At zero, something else holds the job up: the account's pause, which has an event of its own.
    milliseconds = detail.get("next")
    return f"; {what} in {seconds(milliseconds / 1000)}" if milliseconds else ""


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
