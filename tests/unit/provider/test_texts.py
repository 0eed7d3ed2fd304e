"""The meaning of the provider's texts, harmless ones included."""

import pytest

from provider import Cause
from provider.texts import may_be_over, meaning, plain, says_withheld, without_echo


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("The current number of points used by apiKey has exceeded the daily limit", Cause.KEY_CAPPED),
        ("Insufficient credits. Please top up.", Cause.NO_CREDITS),
        ("Your balance isn\u2019t enough to run this request", Cause.NO_CREDITS),
        ("INSUFFICIENT_BALANCE", Cause.NO_CREDITS),
        ("InsufficientBalance", Cause.NO_CREDITS),
        ('{"error":{"message":"insufficient credits"}}', Cause.NO_CREDITS),
        ("您的余额不足", Cause.NO_CREDITS),
        ("Your call frequency is too high. Please try again later.", Cause.RATE_LIMITED),
        ("Rate-limited", Cause.RATE_LIMITED),
        ("调用频率超限", Cause.RATE_LIMITED),
        ("Concurrent task limit reached", Cause.TOO_MANY_RUNNING),
        ("You have too many tasks in progress", Cause.TOO_MANY_RUNNING),
        ("并发任务数已达上限", Cause.TOO_MANY_RUNNING),
        ("Your request was rejected as a result of our safety system.", Cause.MODERATION),
        ("Blocked by the content filter", Cause.MODERATION),
        ("The input or output was flagged as sensitive. (E005)", Cause.MODERATION),
        ("SENSITIVE_WORD_ERROR", Cause.MODERATION),
        ("This violates our usage policies", Cause.MODERATION),
        ("提示词违规", Cause.MODERATION),
        ("The server is currently being maintained, please try again later~", Cause.MAINTENANCE),
        ("系统维护中", Cause.MAINTENANCE),
        ("Invalid API key", Cause.UNAUTHORIZED),
        ("This field is required", Cause.BAD_REQUEST),
        ("prompt不能为空", Cause.BAD_REQUEST),
        ("This interface is temporarily paused.", Cause.DISABLED),
        ("模型已下线", Cause.DISABLED),
    ],
)
def test_a_text_has_a_meaning(text: str, cause: Cause) -> None:
    assert meaning(plain(text)) is cause


@pytest.mark.parametrize(
    "text",
    [
        "",
        "success",
        "Playground task completed successfully.",
        "Server exception, please try again later",
        "Internal Error",
        "recordInfo is null",
        "The server is under moderate load",
        "Could not draw a man in a safety vest",
        "image_size is case-sensitive",
        "time sensitive",
        "copyright © 2026",
        "a feature-flagged release",
        "violates foreign key constraint",
        "access violation at 0x0",
        "constraint violation",
        "java.util.ConcurrentModificationException",
        "unable to generate limits",
        "retry policy exhausted",
        "CORS policy",
        "a top-down view",
        "high frequency wave",
        "the enumeration is exhausted",
        "敏感度",
        'Server exception for "an nsfw poster, insufficient credits"',
        "Server exception for 'a flagged thing'",
        "Server exception for “请充值”",
    ],
)
def test_a_harmless_text_has_no_meaning(text: str) -> None:
    assert meaning(plain(text)) is None


@pytest.mark.parametrize(
    ("message", "prompt", "left"),
    [
        ("failed: a red kite over the flat!", "a red kite over the flat", "failed:  !"),
        ("failed: a red kite over the", "a red  kite\nover the flat", "failed:  "),
        ("failed: a red kite over the hill", "a red kite over the flat", "failed:  hill"),
        ("failed: nsfw", "nsfw", "failed: nsfw"),
        ("failed", "a red kite over the flat", "failed"),
        ("failed", "", "failed"),
    ],
)
def test_the_prompt_is_taken_out_of_a_message(message: str, prompt: str, left: str) -> None:
    assert without_echo(message, prompt) == left


@pytest.mark.parametrize(
    ("text", "over"),
    [
        ("Request timeout", True),
        ("timed out", True),
        ("please try again", True),
        ("INTERNAL_ERROR", True),
        ("系统繁忙", True),
        ("a country again", False),
        ("business rule", False),
        ("", False),
    ],
)
def test_a_fault_that_may_be_over_is_named(text: str, over: bool) -> None:
    assert may_be_over(plain(text)) is over


@pytest.mark.parametrize(
    ("text", "withheld"),
    [
        ("withheld", True),
        ("unsafe", True),
        ("blocked by our filter", True),
        ("nsfw", True),
        ("success", False),
        ("a safety vest", False),
    ],
)
def test_images_that_are_held_back_are_told(text: str, withheld: bool) -> None:
    assert says_withheld(plain(text)) is withheld
