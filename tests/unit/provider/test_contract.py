"""The contract in the tree: every cited section exists, and its tables agree with the code."""

import re
from decimal import Decimal
from typing import Final

import pytest

from provider.codes import CODES
from provider.prices import PRICES
from provider.words import WORDS
from tests.repository import ROOT, committed

NAME: Final = "provider/CONTRACT.md"
PAGE: Final = (ROOT / NAME).read_text("utf-8")
HEADING: Final = re.compile(r"^##+ (\d+(?:\.\d+)?)\.? ", re.MULTILINE)
HEADINGS: Final = HEADING.findall(PAGE)
NUMBER: Final = r"\d+(?:\.\d+)?"
CITATION: Final = re.compile(rf"\bcontract ({NUMBER}(?:, {NUMBER})*)(?![.\d]*\d)")
REFERENCE: Final = re.compile(rf"\bsections? ({NUMBER}(?:(?:, | and ){NUMBER})*)")
ODD: Final = re.compile(r"\bcontract\b(?:[^\n]*\b\d+\.\d+\b|(?: and| to| or|,)? \d)[^\n]*", re.IGNORECASE)
"""A number of a section near the word, once the numbers of citations are taken away."""


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    """The committed and committable text files, without the page itself."""
    names = committed()
    if not names:
        pytest.skip("an exported tree has no list of its files")
    contents = {name: (ROOT / name).read_bytes() for name in names if name != NAME}
    return {name: content.decode() for name, content in contents.items() if b"\0" not in content}


def numbers(pattern: re.Pattern[str], text: str) -> list[str]:
    """The sections that a text cites."""
    return [number for named in pattern.findall(text) for number in re.findall(NUMBER, named)]


def section(number: str) -> str:
    """The text under a heading, up to the next one."""
    parts = HEADING.split(PAGE)
    return parts[parts.index(number) + 1]


def table(number: str) -> list[list[str]]:
    """The cells of the rows in a section's tables."""
    lines = (line for line in section(number).splitlines() if line.startswith("|"))
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_each_citation_has_its_heading(texts: dict[str, str]) -> None:
    cited = {name: found for name, text in texts.items() if (found := numbers(CITATION, text))}
    assert len(cited) > 30
    assert sum(map(len, cited.values())) > 50
    assert {name: {*found} - {*HEADINGS} for name, found in cited.items() if {*found} - {*HEADINGS}} == {}


def test_each_citation_is_spelled_in_the_same_way(texts: dict[str, str]) -> None:
    bare = {name: CITATION.sub("contract", text) for name, text in texts.items()}
    assert {name: odd for name, text in bare.items() if (odd := ODD.findall(text))} == {}


@pytest.mark.parametrize("written", ["{} 1.1 and 5", "{} 2.1 to 2.5", "{}'s time (2.1)", "{} 1, 2 or 3"])
def test_another_spelling_is_noticed(written: str) -> None:
    # The word is put in here, or this file would be found.
    assert ODD.search(CITATION.sub("contract", written.format("contract")))


def test_each_reference_within_the_page_has_its_heading() -> None:
    named = numbers(REFERENCE, PAGE)
    assert len(named) > 10
    assert {*named} - {*HEADINGS} == set()


def test_the_sections_are_in_order_and_none_is_there_twice() -> None:
    places = [tuple(map(int, number.split("."))) for number in HEADINGS]
    assert places == sorted(set(places))
    assert len(places) > 20


def test_each_code_has_a_row() -> None:
    assert {str(code) for code in CODES} <= {row[0] for row in table("1.4")}


def test_the_texts_of_each_cause_are_listed_in_order_of_precedence() -> None:
    listed = [row[2] for row in table("1.4") if len(row) == 3 and row[2].startswith("`")]
    assert listed == [", ".join(f"`{sample}`" for sample in row.samples) for row in WORDS]


def test_the_prices_are_the_code_s() -> None:
    speeds, _, amounts = table("6")
    listed = dict(zip(speeds, map(Decimal, amounts), strict=True))
    assert listed == dict(PRICES.credits_per_image)
