"""The durations and causes of an account's pauses."""

import pytest

from provider import Cause, Disposition
from worker.limits.pauses import LONGEST_RETRY_AFTER, Pauses

PAUSES = Pauses(short=(2.0, 60.0), long=(30.0, 900.0), keys={"north": "digest"})
CLOSING = [cause for cause in Cause if cause.disposition is Disposition.STOP]


def test_a_429_pauses_for_seconds_and_other_causes_for_longer() -> None:
    for cause in CLOSING:
        closing = PAUSES.closing(cause, "north")
        expected = (2.0, 60.0) if cause is Cause.RATE_LIMITED else (30.0, 900.0)
        assert (closing.first, closing.longest) == expected


@pytest.mark.parametrize("cause", CLOSING)
def test_only_a_refused_key_is_recorded_and_only_missing_credits_are_checked(cause: Cause) -> None:
    closing = PAUSES.closing(cause, "north")
    assert closing.key == ("digest" if cause is Cause.UNAUTHORIZED else None)
    assert closing.credits == (cause is Cause.NO_CREDITS)


def test_retry_after_is_obeyed_up_to_a_limit() -> None:
    assert PAUSES.closing(Cause.RATE_LIMITED, "north", 7.0).at_least == 7.0
    assert PAUSES.closing(Cause.RATE_LIMITED, "north", 1e9).at_least == LONGEST_RETRY_AFTER
