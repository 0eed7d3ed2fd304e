"""The findings of the doctor."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """The weight of a finding."""

    OK = "ok"
    WARN = "warn"
    """The fleet works, and something is missing or at risk."""
    FAIL = "fail"
    """The fleet does not work, or a part of it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding. No text of it has a key, a password, or a token."""

    check: str
    verdict: Verdict
    found: str
    advice: str = ""
    """The remedy; "" if there is nothing to do."""


def ok(check: str, found: str) -> Finding:
    """A finding of something that is as it should be."""
    return Finding(check, Verdict.OK, found)


def warn(check: str, found: str, advice: str) -> Finding:
    """A finding that somebody should know of."""
    return Finding(check, Verdict.WARN, found, advice)


def fail(check: str, found: str, advice: str = "") -> Finding:
    """A finding that somebody has to do something about."""
    return Finding(check, Verdict.FAIL, found, advice)
