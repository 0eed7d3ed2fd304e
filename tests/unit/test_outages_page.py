"""The page about outages of Redis: every test that it names exists, and every row of its table names one."""

import re
from typing import Final

import pytest

from tests.integration.docs.pages import read
from tests.references import REFERENCE, defined

PAGE: Final = read("docs/outages-redis.md")
TABLE: Final = PAGE.partition("## Before and after")[2].partition("\n## ")[0]
ROWS: Final = [line for line in TABLE.splitlines() if line.startswith("| ")][1:]


def test_the_table_has_all_rows() -> None:
    assert len(ROWS) == 12


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip()[:60])
def test_a_row_names_tests(row: str) -> None:
    cells = row.strip("|").split(" | ")
    assert len(cells) == 4
    found = REFERENCE.findall(cells[3])
    assert found
    assert "; ".join(f"[`{path}`](../{link}) ({names})" for path, link, names in found) == cells[3].strip()


def test_every_test_of_the_page_exists() -> None:
    found = REFERENCE.findall(PAGE)
    assert {path for path, link, _ in found if path != link} == set()
    named = {(path, name) for path, _, names in found for name in re.findall(r"test_\w+", names)}
    assert {(path, name) for path, name in named if name not in defined(path)} == set()
    # A name without its file would escape the comparison.
    assert set(re.findall(r"`(test_\w+)`", PAGE)) == {name for _, name in named}
