"""The time until another request is welcome, in every form and place (contract 10)."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from provider.retry_after import read_retry_after

NOW = datetime(2026, 10, 21, 7, 28, tzinfo=UTC)
DATE = "Wed, 21 Oct 2026 07:28:00 GMT"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        (" 12 ", 12.0),
        ("2.5", 2.5),
        ("1500ms", 1.5),
        ("3 s", 3.0),
        ("0", 0.0),
        ("999999", 3600.0),
        ("9" * 15, 3600.0),
        ("-1", None),
        ("soon", None),
        ("", None),
        ("1e9", None),
        ("nan", None),
        ("9" * 16, None),
        (DATE, 60.0),
        ("Wed, 21 Oct 2026 07:26:00 GMT", 0.0),
        ("Wed, 21 Oct 2099 07:26:00 GMT", 3600.0),
        ("Wed, 21 Oct 2026 99:99:99 GMT", None),
    ],
)
def test_a_header_is_read_within_limits(value: str, seconds: float | None) -> None:
    now = NOW - timedelta(seconds=60)
    assert read_retry_after({"Retry-AFTER": value}, now=now) == seconds


def test_a_date_counts_from_the_answer_s_own_date() -> None:
    headers = {"date": "Wed, 21 Oct 2026 07:27:50 GMT", "retry-after": DATE}
    assert read_retry_after(headers, now=NOW + timedelta(days=400)) == 10.0


def test_without_a_date_of_its_own_a_date_counts_from_now() -> None:
    at = (datetime.now(UTC) + timedelta(seconds=1000)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    seconds = read_retry_after({"retry-after": at})
    assert seconds is not None
    assert 900 < seconds <= 1000


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ({"retryAfter": 7}, 7.0),
        ({"retry_after": "7"}, 7.0),
        ({"retry-after": Decimal("1.5")}, 1.5),
        ({"retryAfterSeconds": 7}, 7.0),
        ({"retryAfterMs": 1500}, 1.5),
        ({"retry_after_ms": "1500"}, 1.5),
        ({"retryAfterMilliseconds": 1500}, 1.5),
        ({"retryAfter": -7}, None),
        ({"retryAfter": True}, None),
        ({"retryAfter": 10**30}, None),
        ({"retryAfter": Decimal("1e999999")}, None),
        ({"retryAfter": [7]}, None),
        ({"retry": 7}, None),
        ([7], None),
        (None, None),
    ],
)
def test_a_body_is_read_too(fields: Any, seconds: float | None) -> None:
    assert read_retry_after({}, fields) == seconds
    assert read_retry_after({}, None, fields) == seconds


def test_the_header_comes_first_and_an_unusable_one_does_not_count() -> None:
    assert read_retry_after({"retry-after": "3"}, {"retryAfter": 7}) == 3.0
    assert read_retry_after({"retry-after": "soon"}, {"retryAfter": 7}) == 7.0
