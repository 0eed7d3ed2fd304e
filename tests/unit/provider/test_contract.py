"""The contract in the tree: what cites it finds it, and its tables are the code's."""

import re
from decimal import Decimal
from typing import Final

import pytest

from provider.codes import CODES, MODERATION_WORDS, WORDS
from provider.prices import PRICES
from tests.repository import ROOT, committed

PAGE: Final = (ROOT / "provider" / "CONTRACT.md").read_text("utf-8")
HEADINGS: Final = re.findall(r"^##+ (\d+(?:\.\d+)?)\.? ", PAGE, re.MULTILINE)
NUMBER: Final = r"\d+(?:\.\d+)?"
CITATION: Final = re.compile(rf"\b[Cc]ontract ({NUMBER}(?:(?:, | and | to ){NUMBER})*)(?![.\d]*\d)")


def citations() -> dict[str, set[str]]:
    """The sections that each file cites."""
    found: dict[str, set[str]] = {}
    for name in committed():
        if name.endswith((".py", ".lua", ".md")) and name != "provider/CONTRACT.md":
            for numbers in CITATION.findall((ROOT / name).read_text("utf-8")):
                found.setdefault(name, set()).update(re.findall(NUMBER, numbers))
    return found


def section(number: str) -> str:
    return PAGE.partition(f" {number} ")[2].partition("\n## ")[0].partition("\n### ")[0]


def test_each_citation_has_its_heading() -> None:
    cited = citations()
    if not cited:
        pytest.skip("an exported tree has no list of its files")
    assert len(cited) > 30
    missing = {name: numbers - set(HEADINGS) for name, numbers in cited.items() if numbers - set(HEADINGS)}
    assert missing == {}


def test_the_sections_are_in_order_and_none_is_there_twice() -> None:
    places = [tuple(map(int, number.split("."))) for number in HEADINGS]
    assert places == sorted(set(places))
    assert len(places) > 20


def test_each_code_has_a_row() -> None:
    rows = set(re.findall(r"^\| (\d{3}) \|", section("1.4"), re.MULTILINE))
    assert {str(code) for code in CODES} <= rows


@pytest.mark.parametrize("word", [word for _, words in WORDS for word in words])
def test_the_words_of_an_overloaded_code_are_listed(word: str) -> None:
    assert f"`{word}`" in section("1.4")


@pytest.mark.parametrize("word", MODERATION_WORDS)
def test_the_words_of_moderation_are_listed(word: str) -> None:
    assert word in section("2.3")


def test_the_prices_are_the_code_s() -> None:
    names, _, amounts = (line for line in section("6.").splitlines() if line.startswith("|"))
    listed = dict(zip(names.strip("| ").split(" | "), amounts.strip("| ").split(" | "), strict=True))
    assert {name: Decimal(amount) for name, amount in listed.items()} == dict(PRICES.credits_per_image)
