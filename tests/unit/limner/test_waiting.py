"""The limits of a wait."""

import pickle

from limner import LimnerError, WaitTimeout
from limner.status import JobState
from limner.waiting import Patience, still_waiting


def test_patience_ends_though_nothing_has_been_over() -> None:
    patience = Patience.until(0.0, None)
    for now in range(1, 31):
        assert not patience.over(now)
        assert not patience.lost(now)
    assert patience.lost(31.0)
    patience.seen(31.0)
    assert not patience.lost(60.0)


def test_a_deadline_bounds_all() -> None:
    patience = Patience.until(10.0, 2.0)
    assert not patience.over(11.9)
    assert patience.over(12.0)
    assert patience.lost(12.0)
    assert (patience.nap(10.0), patience.nap(13.0)) == (2.0, 0.0)


def test_a_wait_that_is_over_is_a_time_out_that_names_its_job() -> None:
    error = still_waiting("j", JobState.QUEUED, 0.5)
    assert isinstance(error, LimnerError)
    assert isinstance(error, TimeoutError)
    for copy in (error, pickle.loads(pickle.dumps(error))):  # noqa: S301 - our own bytes
        assert isinstance(copy, WaitTimeout)
        assert copy.job_id == "j"
        assert str(copy) == "job j is still queued after 0.5 s; it goes on, ask again later"
