"""The words for an account and its money."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from limner.accounts import AccountStatus
from limner.cli.account_words import account_lines, day_line, standing_lines
from limner.cli.as_json import fields_of
from limner.pauses import EndsBy, Pause
from limner.spending import DaySpend, Standing

NOW = datetime(2026, 11, 23, 12, 0, 0, 250_000, tzinfo=UTC)


def make_account(**facts: Any) -> AccountStatus:
    usual: dict[str, Any] = {
        "account": "main",
        "requests": 20,
        "seconds": 10.0,
        "reads_per_second": 10.0,
        "in_flight_limit": 100,
        "max_in_flight": 100,
        "limit": 20,
        "more_at": None,
        "margin": 0.25,
        "used": 3,
        "next_permit_at": NOW,
        "in_flight": 37,
        "waiting": 812,
        "waiting_own": 0,
        "polls_waiting": 4,
        "pause": None,
        "claimed_at": NOW,
        "deserted": False,
    }
    return AccountStatus(**{**usual, **facts})


def make_pause(**facts: Any) -> Pause:
    usual: dict[str, Any] = {
        "cause": "no_credits",
        "since": NOW,
        "until": NOW + timedelta(seconds=60),
        "ends_by": EndsBy.PROBE,
        "message": "",
        "answers": [],
        "probe": None,
    }
    return Pause(**{**usual, **facts})


def line(name: str, **facts: Any) -> str:
    [found] = [told for told in account_lines(make_account(**facts), NOW) if told.startswith(f"  {name}")]
    return found.removeprefix(f"  {name}").strip()


def test_an_account_is_told_by_what_may_hold_a_job_up() -> None:
    assert list(account_lines(make_account(), NOW)) == [
        "account main",
        "  window      3 of 20 requests in 10 s + 0.250 s margin; there is room",
        "  limit       all 20 of the settings",
        "  in flight   37 of 100 tasks",
        "  waiting     812 jobs in the common queue",
        "  reads       10 a second, 4 jobs wait for one",
        "  pause       none",
    ]


def test_an_account_without_workers_is_told_as_such() -> None:
    assert line("workers", deserted=True) == "none has asked for its work since 2026-11-23T12:00:00Z"


def test_a_full_window_tells_when_it_has_room_again() -> None:
    full = line("window", used=20, next_permit_at=NOW + timedelta(seconds=1.5))
    assert full.endswith("20 of 20 requests in 10 s + 0.250 s margin; the next one is free in 1.5 s")


def test_a_limit_that_was_learned_is_told_with_its_reason() -> None:
    more_at = NOW + timedelta(seconds=60)
    assert line("limit", limit=12, more_at=more_at) == (
        "12 of 20: somebody else spends of the same quota; more is tried at 2026-11-23T12:01:00Z"
    )


def test_jobs_that_name_the_account_are_told_apart() -> None:
    assert line("waiting", waiting_own=5) == "812 jobs in the common queue, 5 for this account alone"


@pytest.mark.parametrize(
    ("pause", "end"),
    [
        (make_pause(), "from 2026-11-23T12:01:00Z one request is tried"),
        (make_pause(probe="j1"), "job j1 is tried now"),
        (make_pause(ends_by=EndsBy.TIME), "until 2026-11-23T12:01:00Z"),
        (make_pause(ends_by=EndsBy.PERSON, until=None), "until somebody resumes it"),
        (
            make_pause(ends_by=EndsBy.CREDITS),
            "from 2026-11-23T12:01:00Z the balance is read; if it is enough, one request is tried",
        ),
        (
            make_pause(ends_by=EndsBy.KEY),
            "from 2026-11-23T12:01:00Z the balance is read with its key; another key is tried at once",
        ),
    ],
)
def test_a_pause_tells_what_ends_it(pause: Pause, end: str) -> None:
    command = "`python -m limner resume main` tries at once"
    assert line("pause", pause=pause) == f"no_credits since 2026-11-23T12:00:00Z, {end}; {command}"


def test_a_pause_shows_the_answers_that_led_to_it() -> None:
    status = make_account(pause=make_pause(answers=("HTTP 502, Bad Gateway", "no message")))
    answered = [line for line in account_lines(status, NOW) if line.startswith("  answered")]
    assert answered == ["  answered    HTTP 502, Bad Gateway", "  answered    no message"]


def test_a_pause_tells_what_was_said() -> None:
    by_hand = make_pause(cause="by_hand", ends_by=EndsBy.PERSON, until=None, message="Invoices first")
    assert line("pause", pause=by_hand) == (
        "by hand since 2026-11-23T12:00:00Z, until somebody resumes it: Invoices first"
    )


def test_every_end_of_a_pause_has_its_words() -> None:
    assert all(line("pause", pause=make_pause(ends_by=ends_by)) for ends_by in EndsBy)


def test_the_facts_of_an_account_are_plain() -> None:
    facts = fields_of(make_account(pause=make_pause()))
    assert facts["next_permit_at"] == "2026-11-23T12:00:00.250Z"
    assert facts["pause"] == {
        "cause": "no_credits",
        "since": "2026-11-23T12:00:00.250Z",
        "until": "2026-11-23T12:01:00.250Z",
        "ends_by": "probe",
        "message": "",
        "answers": [],
        "probe": None,
    }


DAY = DaySpend(
    date=date(2026, 11, 23),
    spent=Decimal("10.5"),
    tasks=2,
    copied_objects=4,
    copied_bytes=1_234_567,
    by_account={"north": Decimal("10.5")},
    by_lane={"tenant-42": Decimal("3.5")},
)
STANDING = Standing(
    held=Decimal(7),
    doubtful=Decimal(0),
    held_by_account={"north": Decimal(7)},
    held_by_lane={},
    doubtful_by_account={},
    doubtful_by_lane={},
    waiting={},
)


def test_a_day_is_told_by_account_and_lane() -> None:
    assert day_line(DAY) == (
        "2026-11-23        10.5 credits       2 tasks  4 objects stored, 1.2 MB"
        "  account north 10.5  lane tenant-42 3.5"
    )
    assert fields_of(DAY) == {
        "date": "2026-11-23",
        "spent": "10.5",
        "tasks": 2,
        "copied_objects": 4,
        "copied_bytes": 1_234_567,
        "by_account": {"north": "10.5"},
        "by_lane": {"tenant-42": "3.5"},
    }


def test_what_may_be_spent_still_is_told_in_two_lines() -> None:
    assert list(standing_lines(STANDING)) == [
        "held                 7 credits  account north 7",
        "doubtful             0 credits",
    ]
    assert fields_of(STANDING)["held_by_account"] == {"north": "7"}


def test_jobs_that_wait_for_money_are_told_by_their_cap() -> None:
    lines = list(standing_lines(replace(STANDING, waiting={"day": 3, "lane:shop": 12})))
    assert lines[2:] == [
        "waiting              3 jobs     the cap of the day is reached",
        "waiting             12 jobs     the cap of lane shop is reached",
    ]


def test_a_day_without_copies_says_nothing_of_them() -> None:
    assert "stored" not in day_line(replace(DAY, copied_objects=0, copied_bytes=0))
