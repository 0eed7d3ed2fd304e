from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.schedule.ticks import (
    LEEWAY,
    LONGEST_DAY,
    CatchUp,
    Crontab,
    Every,
    Rhythm,
    due,
    iso,
    longest_delay,
    resume,
)

MINUTELY = Crontab.parse("* * * * *", UTC)
HOURLY = Every(3600)
NOON = 1_795_435_200  # 2026-11-23T12:00:00Z
YEAR = 365 * 86_400
DAY = 86_400
AT_SEVEN = Crontab.parse("0 7 * * *", UTC)
LATE_IN_HAWAII = Crontab.parse("0 23 * * *", ZoneInfo("Pacific/Honolulu"))


def tick(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def ticks(rhythm: Rhythm, after: str, number: int) -> list[str]:
    at, texts = tick(after), []
    for _ in range(number):
        at = rhythm.next(at)
        texts.append(iso(at).removesuffix(":00Z"))
    return texts


@pytest.mark.parametrize(
    ("text", "zone", "after", "expected"),
    [
        ("0 7 * * *", "UTC", "2026-11-23T06:59", ["2026-11-23T07:00", "2026-11-24T07:00"]),
        ("0 7 * * *", "UTC", "2026-11-23T07:00", ["2026-11-24T07:00"]),
        ("0 7 * * *", "Europe/Berlin", "2026-11-23T06:00", ["2026-11-24T06:00"]),
        # The clocks go forward: 02:30 is skipped, and its tick comes at 03:30.
        (
            "30 2 * * *",
            "Europe/Berlin",
            "2026-03-28T12:00",
            ["2026-03-29T01:30", "2026-03-30T00:30"],
        ),
        # 02:00 is skipped, and its tick coincides with the one at 03:00.
        ("0 2,3 * * *", "Europe/Berlin", "2026-03-28T12:00", ["2026-03-29T01:00", "2026-03-30T00:00"]),
        # The clocks go back: 02:30 comes twice, and has one tick.
        (
            "30 2 * * *",
            "Europe/Berlin",
            "2026-10-24T12:00",
            ["2026-10-25T00:30", "2026-10-26T01:30"],
        ),
        # An hourly rhythm has neither a gap nor a double tick.
        (
            "*/30 * * * *",
            "Europe/Berlin",
            "2026-10-25T00:00",
            ["2026-10-25T00:30", "2026-10-25T01:00", "2026-10-25T01:30", "2026-10-25T02:00"],
        ),
        (
            "*/30 * * * *",
            "Europe/Berlin",
            "2026-03-29T00:00",
            ["2026-03-29T00:30", "2026-03-29T01:00", "2026-03-29T01:30"],
        ),
        # Half an hour is skipped there, from 02:00 to 02:30.
        ("15 * * * *", "Australia/Lord_Howe", "2026-10-03T14:00", ["2026-10-03T14:45", "2026-10-03T16:15"]),
        # Midnight itself is skipped there.
        ("0 0 * * *", "Africa/Cairo", "2026-04-23T12:00", ["2026-04-23T22:00", "2026-04-24T21:00"]),
        ("0 0 31 * *", "UTC", "2026-01-01T00:00", ["2026-01-31T00:00", "2026-03-31T00:00"]),
        ("59 23 31 12 *", "UTC", "2026-12-31T23:59", ["2027-12-31T23:59"]),
        ("0 0 29 2 *", "UTC", "2026-01-01T00:00", ["2028-02-29T00:00", "2032-02-29T00:00"]),
        ("0 0 29 2 *", "UTC", "2096-03-01T00:00", ["2104-02-29T00:00"]),
        ("0 0 29 2 fri", "UTC", "2026-01-01T00:00", ["2036-02-29T00:00"]),
        # As in Celery, a day must match both fields.
        ("0 0 13 * 5", "UTC", "2026-11-01T00:00", ["2026-11-13T00:00", "2027-08-13T00:00"]),
        ("0 9 * nov MON-FRI", "UTC", "2026-11-20T10:00", ["2026-11-23T09:00"]),
        ("0-10/5,30  8 * * *", "UTC", "2026-11-20T08:05", ["2026-11-20T08:10", "2026-11-20T08:30"]),
    ],
)
def test_a_crontab_has_the_expected_ticks(text: str, zone: str, after: str, expected: list[str]) -> None:
    rhythm = Crontab.parse(text, ZoneInfo(zone))
    assert ticks(rhythm, after, len(expected)) == expected
    last = tick(expected[-1])
    assert rhythm.latest(last) == rhythm.latest(last + 59) == last


@pytest.mark.parametrize(
    "text",
    [
        "",
        "* * * *",
        "* * * * * *",
        "60 * * * *",
        "0 24 * * *",
        "0 0 0 * *",
        "0 0 * 13 *",
        "0 0 * * 7",
        "0 0 30 2 *",
        "*/0 * * * *",
        "5/2 * * * *",
        "1-5-7 * * * *",
        "*/15-3 * * * *",
        "1,,2 * * * *",
        "0 mon * * *",
        "0 0 * * mar",
        "@daily",
    ],
)
def test_an_invalid_crontab_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"crontab"):
        Crontab.parse(text, UTC)


def test_every_counts_from_the_epoch() -> None:
    assert Every(7).next(0) == 7
    assert [HOURLY.latest(NOON - 1), HOURLY.latest(NOON), HOURLY.next(NOON)] == [
        NOON - 3600,
        NOON,
        NOON + 3600,
    ]


minutes, hours = st.sets(st.integers(0, 59), min_size=1), st.sets(st.integers(0, 23), min_size=1)
days, weekdays = st.sets(st.integers(1, 28), min_size=1), st.sets(st.integers(0, 6), min_size=4)


@given(minutes, hours, days, weekdays, st.integers(0, 86_400 * 365))
def test_a_tick_is_the_first_minute_that_fits_all_fields(
    minutes: set[int], hours: set[int], days: set[int], weekdays: set[int], offset: int
) -> None:
    fields = [",".join(map(str, values)) for values in (minutes, hours, days, ["*"], weekdays)]
    rhythm = Crontab.parse(" ".join(fields), UTC)
    after = NOON + offset
    upcoming = rhythm.next(after)

    day = datetime.fromtimestamp(after, UTC).replace(hour=0, minute=0, second=0)
    fitting = (
        int((day + timedelta(days=number, hours=hour, minutes=minute)).timestamp())
        for number in range(366)
        if (day + timedelta(days=number)).day in days
        and (day + timedelta(days=number)).isoweekday() % 7 in weekdays
        for hour in sorted(hours)
        for minute in sorted(minutes)
    )
    assert upcoming == next(at for at in fitting if at > after)
    assert rhythm.latest(upcoming) == upcoming
    assert rhythm.latest(upcoming - 1) <= after


@given(
    st.sampled_from(["*/7 * * * *", "30 2 * * *", "0 0 1 * *", "15 1-3 * * 0", "0 12 31 1,3 *"]),
    st.sampled_from(["UTC", "Europe/Berlin", "Australia/Lord_Howe", "America/New_York", "Africa/Cairo"]),
    st.integers(NOON, NOON + 3 * YEAR),
)
def test_latest_and_next_agree_on_ticks(text: str, zone: str, now: int) -> None:
    rhythm = Crontab.parse(text, ZoneInfo(zone))
    upcoming = rhythm.next(now)
    assert upcoming > now
    assert rhythm.latest(upcoming) == upcoming
    assert rhythm.next(rhythm.latest(now)) == upcoming


@pytest.mark.parametrize(
    ("rhythm", "after", "now", "catch_up", "expected"),
    [
        (HOURLY, NOON, NOON + 3599, 3600, []),
        (HOURLY, NOON - 1, NOON, 3600, [NOON]),
        (HOURLY, NOON, NOON, 3600, []),
        (HOURLY, NOON + 5, NOON, 3600, []),
        # A short delay loses no tick, a longer one all but the latest.
        (Every(1), NOON, NOON + 3, 3600, [NOON + 1, NOON + 2, NOON + 3]),
        (Every(5), NOON - 60, NOON, 3600, [NOON - 10, NOON - 5, NOON]),
        (HOURLY, NOON - 7200, NOON + 60, 3600, [NOON]),
        (MINUTELY, NOON - YEAR, NOON + 30, 3600, [NOON]),
        # A tick is not due later than catch_up, but always within the short delay.
        (HOURLY, NOON - 1, NOON + 60, 60, [NOON]),
        (HOURLY, NOON - 1, NOON + 60, 59, []),
        (HOURLY, NOON - 1, NOON + LEEWAY - 1, 0, [NOON]),
        (HOURLY, NOON - 1, NOON + LEEWAY, 0, []),
        # "today": the latest tick of the day by the clocks of the rhythm, and none of the day before.
        (AT_SEVEN, NOON - DAY, NOON, "today", [tick("2026-11-23T07:00")]),
        (AT_SEVEN, NOON - DAY, tick("2026-11-23T23:59"), "today", [tick("2026-11-23T07:00")]),
        (AT_SEVEN, NOON - DAY, tick("2026-11-23T06:59"), "today", []),
        (AT_SEVEN, NOON - DAY, tick("2026-11-23T07:00"), "today", [tick("2026-11-23T07:00")]),
        (HOURLY, NOON - DAY, tick("2026-11-23T00:30"), "today", [tick("2026-11-23T00:00")]),
        (Every(7 * DAY), NOON - 8 * DAY, NOON, "today", []),
        # 23:00 in Honolulu is 09:00 UTC of the next day there, so at 09:30 UTC it is of today, at 10:30 not.
        (LATE_IN_HAWAII, NOON - DAY, tick("2026-11-23T09:30"), "today", [tick("2026-11-23T09:00")]),
        (LATE_IN_HAWAII, NOON - DAY, tick("2026-11-23T10:30"), "today", []),
        # "latest": however late.
        (AT_SEVEN, NOON - 2 * DAY, tick("2026-11-23T06:59"), "latest", [tick("2026-11-22T07:00")]),
        (Every(7 * DAY), NOON - 30 * DAY, NOON, "latest", [Every(7 * DAY).latest(NOON)]),
        (HOURLY, NOON, NOON + 60, "latest", []),
    ],
)
def test_ticks_are_due_within_the_catch_up_time(
    rhythm: Rhythm, after: int, now: int, catch_up: CatchUp, expected: list[int]
) -> None:
    assert due(rhythm, after, now, catch_up=catch_up) == expected


@pytest.mark.parametrize(
    ("fired", "now", "catch_up", "expected"),
    [
        (NOON, NOON + 60, 3600, []),  # nothing was missed
        (NOON - 3600, NOON + 60, 3600, [NOON]),
        (NOON - 3600, NOON + 60, 60, [NOON]),
        (NOON - 3600, NOON + 60, 59, []),
        (NOON - YEAR, NOON + 60, 3600, [NOON]),  # many were missed
        (NOON - 3600, NOON + 5, 0, []),
        (NOON + YEAR, NOON + 60, 3600, []),  # the clock was ahead
        (NOON - DAY, NOON + 60, "today", [NOON]),
        (tick("2026-11-22T22:00"), tick("2026-11-23T00:00"), "today", [tick("2026-11-23T00:00")]),
        (tick("2026-11-22T22:00"), tick("2026-11-22T23:59"), "today", [tick("2026-11-22T23:00")]),
        (NOON - YEAR, NOON + 60, "latest", [NOON]),
        (NOON, NOON + 60, "latest", []),
    ],
)
def test_ticks_missed_during_a_stop_are_due_within_the_catch_up_time(
    fired: int, now: int, catch_up: CatchUp, expected: list[int]
) -> None:
    after = resume(HOURLY, fired, now, catch_up=catch_up)
    assert due(HOURLY, after, now, catch_up=catch_up) == expected


def test_after_a_short_stop_only_the_latest_tick_is_due() -> None:
    after = resume(Every(1), NOON - 10, NOON, catch_up=3600)
    assert due(Every(1), after, NOON, catch_up=3600) == [NOON]


def test_a_day_away_leaves_out_the_tick_of_yesterday() -> None:
    fired, now = tick("2026-11-21T07:00"), tick("2026-11-23T06:30")
    after = resume(AT_SEVEN, fired, now, catch_up="today")
    assert due(AT_SEVEN, after, now, catch_up="today") == []
    assert due(AT_SEVEN, after, now + 1800, catch_up="today") == [now + 1800]


@pytest.mark.parametrize(
    ("rhythm", "now", "midnight"),
    [
        (HOURLY, "2026-11-23T23:59", "2026-11-23T00:00"),
        (AT_SEVEN, "2026-11-23T00:00", "2026-11-23T00:00"),
        (LATE_IN_HAWAII, "2026-11-23T09:59", "2026-11-22T10:00"),
        (LATE_IN_HAWAII, "2026-11-23T10:00", "2026-11-23T10:00"),
        (Crontab.parse("0 7 * * *", ZoneInfo("Europe/Berlin")), "2026-10-25T22:59", "2026-10-24T22:00"),
    ],
)
def test_a_day_begins_by_the_clocks_of_the_rhythm(rhythm: Rhythm, now: str, midnight: str) -> None:
    assert rhythm.midnight(tick(now)) == tick(midnight)


@given(
    st.sampled_from(["*/7 * * * *", "30 2 * * *", "0 0 1 * *", "15 1-3 * * 0", "59 23 * * *"]),
    st.sampled_from(["UTC", "Europe/Berlin", "Australia/Lord_Howe", "America/New_York", "Africa/Cairo"]),
    st.integers(NOON, NOON + 3 * YEAR),
    st.integers(0, 2 * DAY),
    st.sampled_from([0, 3600, DAY, "today", "latest"]),
)
def test_a_tick_is_never_due_after_its_longest_delay(
    text: str, zone: str, now: int, stop: int, catch_up: CatchUp
) -> None:
    rhythm = Crontab.parse(text, ZoneInfo(zone))
    for at in due(rhythm, now - stop, now, catch_up=catch_up):
        assert now - at <= longest_delay(rhythm, at, catch_up=catch_up) + LEEWAY


def test_the_longest_delay_of_today_is_a_day_of_25_hours() -> None:
    assert longest_delay(HOURLY, NOON, catch_up="today") == LONGEST_DAY == 25 * 3600
