"""The scripts' units."""

from datetime import UTC, datetime
from decimal import Decimal

from limner.ledger.messages import moment, to_micro, to_ms


def test_seconds_are_counted_to_the_millisecond() -> None:
    assert [to_ms(seconds) for seconds in (0.0, 0.0014, 0.0016, 1_800_000_000.1234)] == [
        0,
        1,
        2,
        1_800_000_000_123,
    ]


def test_credits_are_counted_exactly_in_millionths() -> None:
    assert to_micro(Decimal("999999999.123456")) == 999_999_999_123_456


def test_a_time_of_the_scripts_is_utc() -> None:
    assert moment(1_800_000_000_500) == datetime(2027, 1, 15, 8, 0, 0, 500_000, UTC)
