"""The page about Celery: each row of its table names tests that exist."""

import re
from typing import Final

import pytest

from tests.integration.docs.pages import read
from tests.references import REFERENCE, defined

TABLE: Final = read("docs/celery.md").partition("## Before and after")[2]
ROWS: Final = [line for line in TABLE.splitlines() if line.startswith("| ")][1:]


def test_the_table_has_all_rows() -> None:
    assert len(ROWS) == 11


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip()[:60])
def test_a_row_names_tests_that_exist(row: str) -> None:
    cells = row.strip("|").split(" | ")
    assert len(cells) == 4
    found = REFERENCE.findall(cells[3])
    assert found
    assert "; ".join(f"[`{path}`](../{link}) ({names})" for path, link, names in found) == cells[3].strip()
    for path, link, names in found:
        assert path == link
        assert set(re.findall(r"test_\w+", names)) - defined(path) == set()
