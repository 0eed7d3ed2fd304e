"""The tables of codes, and what words make of them."""

import pytest

from provider import Cause, FailCause
from provider.codes import CODES, FAIL_CODES, OVERLOADED_CODES, PLAIN_STATUSES, failure, refusal
from provider.words import WORDS

SAMPLES = [(row.cause, sample) for row in WORDS for sample in row.samples]


@pytest.mark.parametrize("code", sorted(OVERLOADED_CODES))
def test_words_tell_the_causes_of_an_overloaded_code_apart(code: int) -> None:
    assert {
        (cause, text) for cause, text in SAMPLES if refusal(code, f"Sorry: {text.upper()}!") is not cause
    } == set()


@pytest.mark.parametrize(
    ("code", "message", "cause"),
    [
        (429, "credits insufficient", Cause.NO_CREDITS),
        (429, "concurrency limit", Cause.TOO_MANY_RUNNING),
        (429, "is required", Cause.RATE_LIMITED),
        (429, "flagged", Cause.RATE_LIMITED),
        (402, "exceeded the daily limit", Cause.KEY_CAPPED),
        (402, "flagged", Cause.NO_CREDITS),
        (401, "nsfw", Cause.UNAUTHORIZED),
        (433, "credits insufficient", Cause.KEY_CAPPED),
        (455, "rate limit", Cause.MAINTENANCE),
    ],
)
def test_under_a_code_with_one_cause_only_words_about_the_account_count(
    code: int, message: str, cause: Cause
) -> None:
    assert refusal(code, message) is cause


@pytest.mark.parametrize(
    ("code", "message", "cause"),
    [
        (777, "", None),
        (777, "is required", None),
        (777, "temporarily paused", None),
        (777, "credits insufficient", Cause.NO_CREDITS),
        (-1, "余额不足", Cause.NO_CREDITS),
        (502, "nsfw", Cause.MODERATION),
        (0, "credits insufficient", None),
        (201, "rate limit", None),
    ],
)
def test_under_an_unknown_code_only_unmistakable_words_count(
    code: int, message: str, cause: Cause | None
) -> None:
    assert refusal(code, message) is cause


@pytest.mark.parametrize("code", sorted(OVERLOADED_CODES))
def test_an_overloaded_code_without_known_words_has_its_own_cause(code: int) -> None:
    assert refusal(code, "words that nobody has seen") is CODES[code]


def test_a_status_without_an_envelope_means_what_its_code_means() -> None:
    assert PLAIN_STATUSES.items() <= CODES.items()


@pytest.mark.parametrize("code", FAIL_CODES)
def test_moderation_is_told_by_its_words_under_any_code(code: str) -> None:
    assert failure(code, "Your prompt was Flagged") == (FailCause.MODERATION, False)


@pytest.mark.parametrize(
    ("code", "message", "cause", "transient"),
    [
        ("400", "rejected by moderation", FailCause.MODERATION, False),
        ("SENSITIVE_WORD_ERROR", "", FailCause.MODERATION, False),
        ("500", "Safety system", FailCause.MODERATION, False),
        ("500", "content policy", FailCause.MODERATION, False),
        ("501", "prohibited words", FailCause.MODERATION, False),
        ("501", "violates our rules", FailCause.MODERATION, False),
        ("422", "copyright", FailCause.MODERATION, False),
        ("500", "包含敏感词", FailCause.MODERATION, False),
        ("GENERATION_FAILED", "flagged, try again", FailCause.MODERATION, False),
        (422, "bad", FailCause.BAD_INPUT, False),
        ("422_VALIDATION_FAILED", "", FailCause.BAD_INPUT, False),
        ("500", "This field is required", FailCause.BAD_INPUT, False),
        ("402", "", FailCause.NO_CREDITS, False),
        ("500", "Credits Insufficient", FailCause.NO_CREDITS, False),
        ("433", "", FailCause.KEY_CAPPED, False),
        ("500", "exceeded the daily limit", FailCause.KEY_CAPPED, False),
        ("500", "Internal Error", FailCause.PROVIDER_FAULT, True),
        (501, "", FailCause.PROVIDER_FAULT, True),
        (501, "generation failed", FailCause.PROVIDER_FAULT, True),
        ("GENERATION_FAILED", "no luck", FailCause.PROVIDER_FAULT, True),
        ("NEW_WORD", "the upstream timed out", FailCause.PROVIDER_FAULT, True),
        (None, "服务器繁忙", FailCause.PROVIDER_FAULT, True),
        ("NEW_WORD", "rate limit", FailCause.PROVIDER_FAULT, True),
        ("NEW_WORD", "???", FailCause.PROVIDER_FAULT, False),
        ("500", "model disabled", FailCause.PROVIDER_FAULT, False),
        ("500", "Unauthorized", FailCause.PROVIDER_FAULT, False),
        (None, "", FailCause.PROVIDER_FAULT, False),
    ],
)
def test_a_failed_task_has_a_cause_and_may_name_a_fault_that_is_over(
    code: int | str | None, message: str, cause: FailCause, transient: bool
) -> None:
    assert failure(code, message) == (cause, transient)


@pytest.mark.parametrize("table", [CODES, PLAIN_STATUSES, FAIL_CODES])
def test_nobody_changes_a_table(table: dict[object, object]) -> None:
    with pytest.raises(TypeError):
        table[1] = Cause.BAD_REQUEST
