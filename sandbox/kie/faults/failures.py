"""The failures of a task, as ``recordInfo`` and the callback report them (contract 2.3)."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

__all__ = ["DEFAULT_FAILURE", "FAILURES"]

FAILURES: Mapping[str, tuple[str | int, str]] = MappingProxyType(
    {
        "generation": ("GENERATION_FAILED", "The image could not be generated."),
        "fault": ("500", "Internal Error, Please try again later."),
        "fault_501": (501, "generation failed"),
        "moderation": ("422", "Your prompt was flagged by Website as violating content policies."),
        "sensitive": ("SENSITIVE_WORD_ERROR", "The prompt contains sensitive words."),
        "bad_input": ("422", "Invalid prompt: it cannot be drawn."),
        "credits": ("402", "Credits insufficient"),
        "empty": ("", ""),
    }
)
"""``failCode`` and ``failMsg`` by variant of the fault ``task_fail``."""

DEFAULT_FAILURE: Final = "generation"
