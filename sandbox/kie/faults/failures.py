"""The failures of a task, as ``recordInfo`` and the callback report them (contract 2.3)."""

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["FAILURES"]

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
        "load": ("500", "Moderate load, please try again later."),
        "safety_vest": ("500", "The safety vest could not be drawn."),
        "timeout": ("500", "timeout"),
        "timeout_words": ("TASK_TIMEOUT", "The task took too long and was ended."),
        "rate": ("429", "Too many requests"),
        "maintenance": ("455", "The server is currently being maintained, please try again later~"),
        "key_cap": ("433", "The current number of points used by apiKey has exceeded the daily limit"),
        "credits_words": ("500", "Insufficient credits, please top up your account"),
        "credits_zh": ("500", "余额不足"),
        "moderation_zh": ("400", "内容违规"),
        "sensitive_zh": ("500", "提示词包含敏感词"),
        "policy": ("500", "Rejected: this request violates our content policy."),
    }
)
"""``failCode`` and ``failMsg`` by variant of the fault ``task_fail``; the first is the default."""
