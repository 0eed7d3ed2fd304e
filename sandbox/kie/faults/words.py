"""Refusals in other words and under other codes than the documented ones (contract 10)."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

__all__ = ["REFUSAL_WORDS"]

_CREDITS: Final = "Insufficient credits. This request needs 7 credits."
_TOP_UP: Final = "Your balance is too low, please top up your account to continue"
_POLICY: Final = "Your request was rejected because it violates our content policy."
_RATE: Final = "Too many requests, please slow down"
_RATE_ZH: Final = "请求过于频繁"
_CREDITS_ZH: Final = "余额不足"
_POLICY_ZH: Final = "内容违规"

REFUSAL_WORDS: Mapping[str, tuple[int, str]] = MappingProxyType(
    {
        "credits_400": (400, _CREDITS),
        "credits_403": (403, _CREDITS),
        "credits_500": (500, _CREDITS),
        "top_up_400": (400, _TOP_UP),
        "top_up_403": (403, _TOP_UP),
        "top_up_500": (500, _TOP_UP),
        "credits_zh_400": (400, _CREDITS_ZH),
        "credits_zh_500": (500, _CREDITS_ZH),
        "policy_400": (400, _POLICY),
        "policy_403": (403, _POLICY),
        "policy_500": (500, _POLICY),
        "policy_zh_400": (400, _POLICY_ZH),
        "policy_zh_500": (500, _POLICY_ZH),
        "rate_400": (400, _RATE),
        "rate_403": (403, _RATE),
        "rate_500": (500, _RATE),
        "rate_zh_403": (403, _RATE_ZH),
        "rate_zh_500": (500, _RATE_ZH),
        "running_429": (429, "Too many concurrent tasks: wait until one of them has finished"),
        "running_500": (500, "Too many tasks are running, please try again later"),
        "maintenance_500": (500, "The service is under maintenance"),
        "key_400": (400, "Invalid API key"),
        "key_403": (403, "Invalid API key"),
        "load_500": (500, "The service is under moderate load, please try again later"),
        "credit_to_500": (500, "Internal error. Credit to the operator who fixes it."),
        "policy_server_500": (500, "The policy server did not answer, please try again later"),
    }
)
"""By variant of the fault ``refusal_words``, the code and the text.

The last three sound like moderation or want of credits, and are passing faults of the provider.
"""
