"""The tables of trials, and their place on a page."""

import pytest

from release.ranges.releases import NEIGHBOURS, PYDANTIC, REDIS
from release.ranges.report import BEGIN, END, tables, within
from release.ranges.trials import Outcome
from tests.repository import ROOT

WORKS = Outcome({"redis": "5.3.1", "pydantic": "2.14.4"}, None, {})
FAILS = Outcome({}, "pip install\nno", {})
PINS = {("5.0.3", "2.8.0"): WORKS, ("5.0.3", "2.14.4"): FAILS, ("8.1.0", "2.8.0"): WORKS}


def test_a_grid_shows_what_works_what_fails_and_what_was_not_tried() -> None:
    lines = tables(PINS, {}).splitlines()
    assert lines[2:6] == [
        "| redis-py \\ pydantic | 2.8.0 | 2.14.4 |",
        "| --- | --- | --- |",
        "| 5.0.3 | yes | no |",
        "| 8.1.0 | yes |  |",
    ]


def test_a_neighbour_is_shown_with_the_releases_that_pip_chose() -> None:
    lines = tables({}, {"arq==0.28.0": WORKS, "celery==1": FAILS}).splitlines()
    assert lines[-2:] == [
        "| `arq==0.28.0` | 5.3.1 | 2.14.4 |  |  | yes |",
        "| `celery==1` |  |  |  |  | no |",
    ]


def test_the_tables_of_a_page_are_replaced_and_the_rest_stays() -> None:
    page = f"# Page\n\n{BEGIN}\nold\n\n{END}\nThe end.\n"
    assert within(page, "new") == f"# Page\n\n{BEGIN}\nnew\n\n{END}\nThe end.\n"
    assert within(within(page, "new"), "new") == within(page, "new")


def test_the_page_shows_all_that_is_tried_and_that_it_works() -> None:
    page = (ROOT / "docs" / "compatibility.md").read_text("utf-8")
    shown = page.partition(BEGIN)[2].partition(END)[0]
    for release in REDIS:
        assert f"\n| {release} | yes |" in shown
    for name in NEIGHBOURS:
        assert f"\n| `{name}` |" in shown
    assert set(PYDANTIC) <= set(shown.split())
    assert "| no |" not in shown


def test_a_page_without_a_place_for_them_is_refused() -> None:
    with pytest.raises(ValueError, match="these two lines"):
        within(f"{END}{BEGIN}", "new")
