"""Progress of several transfers, as one."""

import pytest

from limner.progress import Tally, bar


def test_the_sum_of_all_transfers_is_told_and_the_total_once_all_lengths_are_known() -> None:
    told: list[tuple[int, int | None]] = []
    tally = Tally(2, lambda done, total: told.append((done, total)))
    tally.begin(0, 10)
    tally.add(0, 4)
    tally.begin(1, 5)
    tally.add(1, 5)
    assert told == [(0, None), (4, None), (4, 15), (9, 15)]


def test_a_transfer_that_begins_anew_counts_from_zero() -> None:
    told: list[tuple[int, int | None]] = []
    tally = Tally(1, lambda done, total: told.append((done, total)))
    tally.begin(0, 10)
    tally.add(0, 9)
    tally.begin(0, None)
    tally.add(0, 3)
    assert told[-2:] == [(0, None), (3, None)]


def test_nobody_who_is_not_watching_gets_a_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with bar("saving images") as drawn:
        assert drawn is None
    assert capsys.readouterr() == ("", "")
