"""The forecast of the time at which a job is sent; now is 1000 s."""

import math

import pytest

from limner.ledger.forecast import Capacity, starts_at

NOW = 1000.0
WINDOW = 10.25


def capacity(**facts: object) -> Capacity:
    usual: dict[str, object] = {"account": "main", "limit": 20, "window": WINDOW}
    return Capacity(**{**usual, **facts})  # type: ignore[arg-type]


def seconds(*capacities: Capacity, before: int = 0, typical: float = 16.0, **how: object) -> float | None:
    """The seconds from now."""
    at = starts_at(capacities, now=NOW, before=before, typical=typical, **how)  # type: ignore[arg-type]
    return None if at is None else round(at - NOW, 2)


FULL = tuple(NOW - 9 + 0.25 * number for number in range(20))


@pytest.mark.parametrize(
    ("before", "wait"),
    [(0, 0.0), (19, 0.0), (20, 10.25), (39, 10.25), (40, 20.5), (1000, 512.5)],
)
def test_an_open_window_takes_its_limit_at_once_and_then_once_a_window(before: int, wait: float) -> None:
    assert seconds(capacity(), before=before) == wait


@pytest.mark.parametrize(("before", "wait"), [(0, 1.25), (1, 1.5), (19, 6.0), (20, 11.5), (21, 11.75)])
def test_a_full_window_gives_permits_back_in_the_order_in_which_they_were_used(
    before: int, wait: float
) -> None:
    assert seconds(capacity(taken=FULL), before=before) == wait


def test_a_permit_that_has_left_the_window_holds_nobody_up() -> None:
    assert seconds(capacity(limit=1, taken=(NOW - WINDOW,))) == 0.0
    assert seconds(capacity(limit=1, taken=(NOW - WINDOW + 1,))) == 1.0


def test_a_limit_that_was_lowered_waits_for_the_latest_permits() -> None:
    assert seconds(capacity(limit=2, taken=(NOW - 5, NOW - 4, NOW - 3, NOW - 2))) == 7.25


def test_places_in_flight_come_free_as_tasks_end() -> None:
    full = capacity(max_in_flight=4, in_flight=4)
    assert seconds(full, before=0) == 4.0
    assert seconds(full, before=3) == 16.0
    assert seconds(capacity(max_in_flight=4, in_flight=3), before=0) == 0.0
    assert seconds(capacity(max_in_flight=4, in_flight=9), before=0) == 24.0


def test_the_slower_of_window_and_places_counts() -> None:
    assert seconds(capacity(limit=1, max_in_flight=1), before=2, typical=3.0) == 20.5
    assert seconds(capacity(limit=1, max_in_flight=1), before=2, typical=30.0) == 60.0


@pytest.mark.parametrize(("opens", "wait"), [(NOW - 5, 0.0), (NOW + 60, 60.0), (math.inf, None)])
def test_a_pause_holds_everything_up_until_its_end(opens: float, wait: float | None) -> None:
    assert seconds(capacity(opens=opens)) == wait


def test_after_a_pause_the_window_is_as_the_time_has_left_it() -> None:
    assert seconds(capacity(taken=FULL, opens=NOW + 60), before=19) == 60.0
    assert seconds(capacity(taken=FULL, opens=NOW + 60), before=20) == 70.25


def test_several_accounts_add_up() -> None:
    north, south = capacity(account="north"), capacity(account="south", limit=5)
    assert seconds(north, south, before=24) == 0.0
    assert seconds(north, south, before=25) == 10.25


def test_an_account_that_is_paused_without_an_end_leaves_the_work_to_the_other() -> None:
    north, south = capacity(account="north", opens=math.inf), capacity(account="south")
    assert seconds(north, south, before=19) == 0.0
    assert seconds(north, south, before=20) == 10.25


def test_the_common_line_waits_for_the_jobs_that_name_an_account_and_go_first() -> None:
    assert seconds(capacity(ahead=19)) == 0.0
    assert seconds(capacity(ahead=20)) == 10.25
    assert seconds(capacity(account="north", ahead=20), capacity(account="south")) == 0.0


def test_a_job_that_names_an_account_waits_for_its_own() -> None:
    north, south = capacity(account="north", taken=FULL, ahead=1), capacity(account="south")
    assert seconds(north, south, account="north") == 1.5
    assert seconds(north, south, account="south") == 0.0
    assert seconds(north, south, account="west") is None


def test_a_job_that_names_an_account_waits_for_its_turn_behind_the_common_line() -> None:
    north, south = capacity(account="north"), capacity(account="south")
    assert seconds(north, south, before=39, account="north") == 0.0
    assert seconds(north, south, before=40, account="north") == 10.25


def test_a_job_is_not_sent_before_its_back_off_is_over() -> None:
    assert seconds(capacity(), not_before=NOW + 3) == 3.0
    assert seconds(capacity(), not_before=NOW - 3) == 0.0


def test_without_an_account_nobody_can_tell() -> None:
    assert seconds() is None


def test_what_lies_more_than_a_year_off_is_not_told() -> None:
    assert seconds(capacity(limit=1, window=86_400.0), before=10_000) is None
