"""The limits of a wait."""

import pickle

from limner import LimnerError, WaitTimeout
from limner.status import JobState
from limner.waiting import Patience, still_waiting


def test_patience_ends_half_a_minute_after_the_last_answer() -> None:
    patience = Patience(0.0)
    assert not patience.lost(30.0)
    assert patience.lost(31.0)
    patience.seen(31.0)
    assert not patience.lost(60.0)


def test_a_wait_that_is_over_is_a_time_out_that_names_its_job() -> None:
    error = still_waiting("j", JobState.QUEUED, 0.5)
    assert isinstance(error, LimnerError)
    assert isinstance(error, TimeoutError)
    for copy in (error, pickle.loads(pickle.dumps(error))):  # noqa: S301 - our own bytes
        assert isinstance(copy, WaitTimeout)
        assert copy.job_id == "j"
        assert str(copy) == "job j is still queued after 0.5 s; it goes on, ask again later"
