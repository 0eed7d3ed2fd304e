"""The table of words: each row finds its samples, and a rule for its source."""

import re

import pytest

from provider.texts import meaning, plain
from provider.words import WORDS, Row


@pytest.mark.parametrize("row", WORDS, ids=lambda row: f"{row.cause}-{row.source}")
def test_a_row_finds_its_samples_and_no_earlier_row_does(row: Row) -> None:
    assert {sample: meaning(plain(sample)) for sample in row.samples} == dict.fromkeys(row.samples, row.cause)


@pytest.mark.parametrize("row", WORDS, ids=lambda row: f"{row.cause}-{row.source}")
def test_a_row_has_a_source(row: Row) -> None:
    assert row.source == "assumption" or re.fullmatch(r"contract \d+(\.\d)?", row.source)


@pytest.mark.parametrize("row", WORDS, ids=lambda row: f"{row.cause}-{row.source}")
def test_a_long_text_costs_no_time_that_grows_with_its_square(row: Row) -> None:
    # A quadratic search of these takes minutes, and the test has a time limit.
    for text in ("exceed ", "insufficient credits are ", "too many ", "invalid api ", "violates x ", "请求"):
        row.pattern.search(text * 20_000)
