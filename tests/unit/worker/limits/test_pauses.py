"""The durations and causes of an account's pauses."""

import pytest

from provider import Cause, Disposition, Trouble
from worker.limits.pauses import LONGEST_RETRY_AFTER, Pauses

PAUSES = Pauses(first=5.0, longest=300.0, trouble_jobs=4, keys={"north": "digest"})
CLOSING = [cause for cause in Cause if cause.disposition is Disposition.STOP]


@pytest.mark.parametrize("cause", CLOSING)
def test_every_refusal_of_the_account_closes_it_at_once_and_briefly(cause: Cause) -> None:
    closing = PAUSES.closing(cause, "north")
    assert (closing.first, closing.longest, closing.after) == (5.0, 300.0, None)


@pytest.mark.parametrize("trouble", list(Trouble))
def test_trouble_closes_an_account_when_enough_jobs_have_met_it(trouble: Trouble) -> None:
    closing = PAUSES.trouble(trouble)
    assert (closing.cause, closing.first, closing.longest, closing.after) == (trouble.value, 5.0, 300.0, 4)
    assert (closing.key, closing.credits) == (None, False)


@pytest.mark.parametrize("cause", CLOSING)
def test_only_a_refused_key_is_recorded_and_only_missing_credits_are_checked(cause: Cause) -> None:
    closing = PAUSES.closing(cause, "north")
    assert closing.key == ("digest" if cause is Cause.UNAUTHORIZED else None)
    assert closing.credits == (cause is Cause.NO_CREDITS)


def test_retry_after_is_obeyed_up_to_a_limit() -> None:
    assert PAUSES.closing(Cause.RATE_LIMITED, "north", 7.0).at_least == 7.0
    assert PAUSES.closing(Cause.RATE_LIMITED, "north", 1e9).at_least == LONGEST_RETRY_AFTER
    assert PAUSES.trouble(Trouble.GATEWAY, 1e9).at_least == LONGEST_RETRY_AFTER
