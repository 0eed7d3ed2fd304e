"""The tables of codes and words."""

import pytest

from provider import Cause, FailCause
from provider.codes import CODES, FAIL_CODES, OVERLOADED_CODES, PLAIN_STATUSES, WORDS, failure, refusal


def test_words_tell_the_causes_of_an_overloaded_code_apart() -> None:
    told = {refusal(500, f"Sorry: {word.upper()}!") for _, words in WORDS for word in words}
    assert told == {cause for cause, _ in WORDS}


def test_words_say_nothing_under_a_code_that_has_one_cause() -> None:
    assert refusal(429, "credits insufficient") is Cause.RATE_LIMITED


def test_a_code_that_is_not_in_the_table_is_no_refusal() -> None:
    assert refusal(777, "is required") is None


def test_an_overloaded_code_without_known_words_has_its_own_cause() -> None:
    assert {refusal(code, "words that nobody has seen") for code in OVERLOADED_CODES} == {Cause.SERVER_FAULT}


def test_a_status_without_an_envelope_means_what_its_code_means() -> None:
    assert PLAIN_STATUSES.items() <= CODES.items()


@pytest.mark.parametrize("code", FAIL_CODES)
def test_moderation_is_told_by_its_words_under_any_code(code: str) -> None:
    assert failure(code, "Your prompt was Flagged") is FailCause.MODERATION


@pytest.mark.parametrize(
    ("code", "message", "cause"),
    [
        (422, "bad", FailCause.BAD_INPUT),
        ("422_VALIDATION_FAILED", "", FailCause.BAD_INPUT),
        ("402", "", FailCause.NO_CREDITS),
        ("500", "Credits Insufficient", FailCause.NO_CREDITS),
        ("SENSITIVE_WORD_ERROR", "", FailCause.MODERATION),
        (None, "", FailCause.PROVIDER_FAULT),
        (501, "generation failed", FailCause.PROVIDER_FAULT),
    ],
)
def test_a_failed_task_has_a_cause(code: int | str | None, message: str, cause: FailCause) -> None:
    assert failure(code, message) is cause


@pytest.mark.parametrize("table", [CODES, PLAIN_STATUSES, FAIL_CODES])
def test_nobody_changes_a_table(table: dict[object, object]) -> None:
    with pytest.raises(TypeError):
        table[1] = Cause.BAD_REQUEST
