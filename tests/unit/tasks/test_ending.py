"""The end of a job in an error, and its result."""

import pytest

from limner.errors import AttemptsExhausted, GenerationFailed, JobFailed, NotDurable
from limner.ledger import Closing
from limner.ledger.jobs import Jobs
from limner.status import JobState
from tasks.ending import end, store
from tests.unit.tasks.doubles import Desk, Recorder, a_record
from worker.results import ResultStore

ENDED = a_record("failed")
PAUSE = Closing("faulty", 5.0, 300.0, after=3)


def test_the_error_goes_on_record_under_the_lease_or_attempt_that_it_comes_from() -> None:
    desk = Desk()
    error = GenerationFailed("It broke")
    end(desk.services(), "job-1", error, [JobState.SENDING], lease=7, attempt=2, pause=PAUSE)
    failed = desk.jobs.given("fail")
    assert (failed["job_id"], failed["error"], failed["come_from"]) == ("job-1", error, [JobState.SENDING])
    assert (failed["lease"], failed["attempt"], failed["pause"]) == (7, 2, PAUSE)


@pytest.mark.parametrize(("charged", "certain"), [("no", True), ("maybe", False), ("yes", False)])
def test_only_an_error_that_costs_nothing_is_a_certain_refusal(charged: str, certain: bool) -> None:
    desk = Desk()
    error: JobFailed = AttemptsExhausted("all refused", {"charged": charged})
    end(desk.services(), "job-1", error, [JobState.SENDING], attempt=1)
    assert desk.jobs.given("fail")["certain"] is certain


def test_the_end_is_stored_as_the_result() -> None:
    desk = Desk(jobs=Recorder(Jobs, fail=ENDED))
    services = desk.services()
    end(services, "job-1", GenerationFailed("It broke"), [JobState.SENDING])
    assert desk.results.given("store") == {"record": ENDED, "ledger": services.ledger}


def test_a_stale_step_stores_nothing() -> None:
    desk = Desk(jobs=Recorder(Jobs, fail=None))
    end(desk.services(), "job-1", GenerationFailed("It broke"), [JobState.SENDING])
    assert desk.results.calls == []


def test_a_result_that_cannot_be_stored_is_left_to_the_lease() -> None:
    desk = Desk(results=Recorder(ResultStore, store=NotDurable("not on disk")))
    with pytest.raises(NotDurable):
        store(desk.services(), ENDED)
