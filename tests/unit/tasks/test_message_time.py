"""The times that a message may name, and how old it is by them."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from tasks.message_time import SENT, sent_at, too_old

NOW = datetime(2027, 1, 15, 8, tzinfo=UTC)
WEEK = timedelta(days=7)
THEN = NOW - timedelta(days=3)
EAST = timezone(timedelta(hours=9))


@pytest.mark.parametrize(
    "message",
    [
        {SENT: THEN.timestamp()},
        {SENT: THEN.isoformat()},
        {SENT: "2027-01-12T08:00:00Z"},
        {SENT: "2027-01-12T08:00:00"},
        {SENT: THEN.astimezone(EAST).isoformat()},
        {"eta": THEN.isoformat()},
        {"properties": {"timestamp": int(THEN.timestamp())}},
        {"properties": {"timestamp": THEN}},
        {"properties": {"timestamp": THEN.replace(tzinfo=None)}},
        {SENT: (THEN - WEEK).timestamp(), "eta": THEN.isoformat(), "properties": {"timestamp": 0}},
    ],
)
def test_the_latest_time_counts_in_each_of_its_forms(message: Any) -> None:
    assert sent_at(message, NOW) == THEN


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        "",
        "soon",
        [],
        {},
        float("nan"),
        float("inf"),
        1e300,
        -1e300,
        (NOW + WEEK).timestamp(),
        b"x",
    ],
)
def test_what_is_no_time_or_not_yet_says_nothing(value: Any) -> None:
    for message in (
        {SENT: value},
        {"eta": value},
        {"properties": {"timestamp": value}},
        {"properties": value},
    ):
        assert sent_at(message, NOW) is None
        assert not too_old(message, NOW, WEEK)


def test_a_usual_message_of_celery_names_no_time() -> None:
    assert sent_at({"eta": None, "properties": {"correlation_id": "a"}}, NOW) is None


def test_a_clock_that_is_somewhat_ahead_is_believed() -> None:
    ahead = NOW + timedelta(minutes=10)
    assert sent_at({SENT: ahead.timestamp()}, NOW) == ahead


@pytest.mark.parametrize(("days", "old"), [(6.99, False), (7.01, True), (400, True)])
def test_a_message_is_too_old_beyond_the_memory(days: float, old: bool) -> None:
    assert too_old({SENT: (NOW - timedelta(days=days)).timestamp()}, NOW, WEEK) is old
