"""The phrases of the command line."""

from typing import Any

import pytest

from limner.cli.phrases import answer, counted, lasting, seconds, sized


def test_a_duration_is_told_to_the_tenth_of_a_second() -> None:
    assert seconds(1.26) == "1.3 s"


@pytest.mark.parametrize(
    ("number", "words"),
    [(90.0, "for 90.0 s"), (None, "until somebody resumes it"), (1e12, "until somebody resumes it")],
)
def test_a_pause_beyond_years_has_no_end(number: float | None, words: str) -> None:
    assert lasting(number) == words


def test_one_is_told_in_the_singular() -> None:
    assert [counted(number, "image") for number in (0, 1, 2)] == ["0 images", "1 image", "2 images"]


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (999_940, "999.9 kB"),
        (999_950, "1.0 MB"),
        (3_210_000, "3.2 MB"),
        (10**19, "10000.0 PB"),
    ],
)
def test_a_size_is_told_in_its_unit(number: int, words: str) -> None:
    assert sized(number) == words


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            {"cause": "rate_limited", "code": 429, "http_status": 200, "message": "slow"},
            "rate_limited (code 429): slow",
        ),
        ({"cause": "not_json", "http_status": 502}, "not_json (HTTP 502)"),
        ({"cause": "no_code", "code": 500, "http_status": 503}, "no_code (code 500, HTTP 503)"),
        ({"message": "it broke"}, "no reason given: it broke"),
        ("told by an older version", "told by an older version"),
    ],
)
def test_an_answer_is_told_with_the_codes_that_say_something(error: Any, words: str) -> None:
    assert answer(error) == words
