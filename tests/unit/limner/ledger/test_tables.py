"""The layout's tables stand between two lines of a page."""

import pytest

from limner.ledger.tables import BEGIN, END, tables, within


def test_what_stands_around_the_tables_stays() -> None:
    page = within(f"before\n{BEGIN}old tables\n{END}after\n")
    assert page == f"before\n{BEGIN}\n{tables()}\n{END}after\n"


def test_a_page_that_is_up_to_date_does_not_change() -> None:
    page = within(f"{BEGIN}{END}")
    assert within(page) == page


@pytest.mark.parametrize("page", ["", BEGIN, END, f"{END}{BEGIN}"])
def test_a_page_without_a_place_for_them_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match="a page needs these two lines, in this order"):
        within(page)


def test_a_field_names_the_scripts_that_assign_to_it() -> None:
    [row] = [line for line in tables().splitlines() if line.startswith("| `expires`")]
    assert row.split(" | ")[2] == "shift_clock, submit"


def test_an_event_that_is_only_noted_is_not_told_on_the_stream() -> None:
    rows = {line.split("`")[1]: line for line in tables().splitlines() if line.startswith("| `")}
    assert rows["polled"].endswith("| the job's log |")
    assert rows["succeeded"].endswith("| the job's log and the stream |")
    assert rows["paused"].endswith("| the stream, about an account |")
