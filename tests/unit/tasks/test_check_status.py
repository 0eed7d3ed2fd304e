"""Polls of a message: begun, asked, decided, and reported together."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

import pytest

from limner.errors import DeadlineExceeded, GenerationFailed, RecordUnreadable, StoreUnavailable
from limner.ledger import Claim, Polled, Record, TaskEnd, TaskFailed, TaskLost, TaskSucceeded
from limner.ledger.jobs import Jobs
from limner.ledger.outcomes import made
from limner.ledger.scripts.reports import to_json
from limner.status import JobState
from provider import (
    Cause,
    Done,
    FailCause,
    Failed,
    KieClient,
    NoRecord,
    Pending,
    RecordAnswer,
    Unreadable,
    Why,
)
from tasks import check_status
from tasks.check_status import Asked, Turn, decide, duration_of, poll, report_of
from tasks.decisions import Fail, Lost, PollAgain
from tasks.leave import Leave
from tasks.stopwatch import Stopwatch
from tests.unit.tasks.doubles import NOW, TOKEN, Desk, Recorder, a_record, a_task, ms
from worker.results import ResultStore

WORKS: Final = Pending("generating", known_state=True)
DONE: Final = Done(("https://files/a.png",), Decimal(7), ms(-9), ms(-1))
BROKE: Final = Failed(FailCause.PROVIDER_FAULT, "500", "it broke")
HELD: Final = TaskEnd("held", None)
DAMAGED: Final = RecordUnreadable("the record is damaged")


def generating(job_id: str = "job-1", *tasks: dict[str, Any], **fields: Any) -> Record:
    return a_record("generating", *(tasks or [a_task(f"task of {job_id}")]), job_id=job_id, **fields)


def polled(*records: Any, answer: Any = WORKS, ends: Any = None, ended: Any = None, **desk: Any) -> Desk:
    """Polls of these records; ``ends`` are the ledger's answers to the reports, ``ended`` that to an end."""

    def report(reports: Any) -> Any:
        return ends or [HELD for _ in reports]

    desk_of = Desk(
        jobs=Recorder(Jobs, begin_polls=list(records), report_polls=report, fail=ended, set_apart=True),
        provider=Recorder(KieClient, record_info=answer),
        **desk,
    )
    poll(desk_of.services(), [Claim(f"job-{number}", "poll", 7) for number, _ in enumerate(records, 1)])
    return desk_of


def reports(desk: Desk) -> Any:
    return desk.jobs.given("report_polls")["reports"]


def report(answer: RecordAnswer, record: Record, desk: Desk | None = None) -> Any:
    """The report of the record's open task after this answer."""
    assert record.open_task
    services = (desk or Desk()).services()
    asked = Asked(record, record.open_task, answer, NOW)
    decision = decide(services, asked)
    assert not isinstance(decision, Fail)
    return report_of(services, asked, decision)


# The polls that are made


def test_the_polls_of_a_message_are_begun_in_one_call() -> None:
    desk = polled(generating("job-1"), generating("job-2"))
    steps = desk.jobs.given("begin_polls")["polls"]
    assert [step.job_id for step in steps] == ["job-1", "job-2"]


def test_each_job_s_open_task_is_asked_for() -> None:
    desk = polled(generating("job-1"), generating("job-2"))
    assert [given["task_id"] for _, given in desk.provider.calls] == ["task of job-1", "task of job-2"]


def test_a_stale_poll_is_not_made() -> None:
    desk = polled(None, generating("job-2"))
    assert desk.provider.given("record_info")["task_id"] == "task of job-2"


def test_a_job_without_an_open_task_is_not_polled() -> None:
    assert polled(generating("job-1", a_task(state="failed"))).provider.calls == []


def test_a_task_whose_account_this_worker_lacks_is_not_polled(caplog: pytest.LogCaptureFixture) -> None:
    desk = polled(generating("job-1", a_task(account="south")))
    assert desk.provider.calls == []
    assert "no key of account south (LIMNER_ACCOUNTS)" in caplog.text


# Polls that this machine has kept waiting


@pytest.mark.parametrize("others", [0, 2], ids=["alone", "beside others"])
@pytest.mark.parametrize("again", [generating("job-1"), None, DAMAGED], ids=["begun", "waits", "damaged"])
def test_a_poll_that_was_kept_waiting_begins_again(
    others: int, again: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.leave.MOMENT", -1.0)
    monkeypatch.setattr("tasks.leave.RENEWALS", 1)
    records = [generating(f"job-{number}") for number in range(1, others + 2)]
    begun: list[list[str]] = []

    def begin(polls: Any) -> Any:
        begun.append([step.job_id for step in polls])
        if len(begun) == 1:
            return records
        # What follows from it, the client decides: see KieClient.record_info.
        monkeypatch.setattr("tasks.leave.MOMENT", 60.0)
        return [again]

    def ask(task_id: str, may_send: Any) -> RecordAnswer:
        return WORKS if may_send() else Unreadable(Why.NOT_SENT, None, None, "not now")

    desk = Desk(
        jobs=Recorder(Jobs, begin_polls=begin, report_polls=lambda reports: [HELD for _ in reports]),
        provider=Recorder(KieClient, record_info=ask),
    )
    poll(desk.services(), [Claim(record.job_id, "poll", 7) for record in records])
    assert begun == [[record.job_id for record in records], ["job-1"]]
    told = [
        each.job_id for name, given in desk.jobs.calls if name == "report_polls" for each in given["reports"]
    ]
    assert told == [record.job_id for record in records[0 if isinstance(again, Record) else 1 :]]


# Jobs that are left alone


@pytest.mark.parametrize("others", [[], [generating("job-2")]], ids=["alone", "beside another"])
def test_a_record_that_cannot_be_read_before_the_poll_is_left_alone(
    others: list[Record], caplog: pytest.LogCaptureFixture
) -> None:
    desk = polled(DAMAGED, *others)
    assert len(desk.provider.calls) == len(others)
    assert "job job-1 is left alone: the record is damaged" in caplog.text


def test_a_record_that_cannot_be_read_after_the_poll_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    polled(generating("job-1"), generating("job-2"), ends=[HELD, DAMAGED])
    assert "job job-2 is left alone: the record is damaged" in caplog.text


def test_a_record_that_cannot_be_read_is_set_apart() -> None:
    assert polled(DAMAGED).jobs.given("set_apart") == {"job_id": "job-1", "fault": DAMAGED}


def test_a_record_that_cannot_be_read_at_its_end_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    polled(generating("job-1", deadline=ms(-1)), ended=DAMAGED)
    assert "job job-1 is left alone: the record is damaged" in caplog.text


# Faults that affect only one poll


def test_a_poll_that_raises_leaves_the_others_reported(caplog: pytest.LogCaptureFixture) -> None:
    def answer(task_id: str, **_: Any) -> RecordAnswer:
        if task_id == "task of job-1":
            raise TypeError("a bug")
        return WORKS

    desk = polled(generating("job-1"), generating("job-2"), answer=answer)
    assert [each.job_id for each in reports(desk)] == ["job-2"]
    assert "a bug" in caplog.text


def test_a_decision_that_raises_leaves_the_others_reported(caplog: pytest.LogCaptureFixture) -> None:
    desk = polled(generating("job-1", deadline=None), generating("job-2"))
    assert [each.job_id for each in reports(desk)] == ["job-2"]
    assert "the poll of job job-1 is repeated" in caplog.text


def test_an_outage_is_raised_when_all_that_was_asked_has_been_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    # Each answer comes by itself.
    monkeypatch.setattr(
        check_status,
        "side_by_side",
        lambda services, turns: ([check_status.ask(services, turn)] for turn in turns),
    )
    monkeypatch.setattr(check_status, "SHORT_PATIENCE", 0.0)
    away: Any = StoreUnavailable("away")
    desk = Desk(
        jobs=Recorder(Jobs, begin_polls=[generating("job-1"), generating("job-2")], report_polls=away),
        provider=Recorder(KieClient, record_info=WORKS),
    )
    with pytest.raises(StoreUnavailable):
        poll(desk.services(), [Claim("job-1", "poll", 7), Claim("job-2", "poll", 7)])
    assert desk.jobs.names == ["begin_polls", "report_polls", "report_polls"]


# Decisions


def test_the_age_of_a_task_counts_from_when_it_was_known() -> None:
    record = generating("job-1", a_task(at=ms(-200)))
    assert record.open_task
    asked = Asked(record, record.open_task, WORKS, NOW)
    # After two minutes, the policy polls every twenty seconds.
    assert decide(Desk().services(), asked) == PollAgain(20.0, "generating")


def test_a_callback_brings_the_next_poll_forward() -> None:
    record = generating("job-1", a_task(at=ms(-200)), signalled=ms(-5))
    assert record.open_task
    assert decide(Desk().services(), Asked(record, record.open_task, WORKS, NOW)) == PollAgain(
        2.5, "generating"
    )


def test_a_job_whose_time_is_over_ends_without_a_report() -> None:
    desk = polled(generating("job-1", deadline=ms(-1)), ended=a_record("failed"))
    failed = desk.jobs.given("fail")
    assert isinstance(failed["error"], DeadlineExceeded)
    assert (failed["come_from"], failed["lease"]) == ([JobState.GENERATING], 7)
    assert "report_polls" not in desk.jobs.names
    assert desk.results.names == ["store"]


def test_a_job_that_has_ended_is_followed_for_the_time_that_the_settings_give() -> None:
    record = a_record("failed", a_task(at=ms(-100)))
    assert record.open_task
    asked = Asked(record, record.open_task, WORKS, NOW)
    assert decide(Desk(settings={"late_result_seconds": 101}).services(), asked) == PollAgain(
        1.0, "generating"
    )
    assert isinstance(decide(Desk(settings={"late_result_seconds": 99}).services(), asked), Lost)


# Reports


def test_a_task_that_works_is_polled_again_under_the_step_s_lease() -> None:
    assert report(WORKS, generating()) == Polled(job_id="job-1", lease=7, answer="generating", poll_in=2.5)


def test_a_task_that_only_a_callback_has_named_is_known_for_certain_now() -> None:
    param = {"callBackUrl": f"https://hooks.example.test/callbacks/job-1/{TOKEN}"}
    seen = report(replace(WORKS, param=param), generating("job-1", a_task("T", sure=False)))
    assert (seen.task_id, seen.sure, seen.attempt) == ("T", True, 1)


def test_of_several_tasks_the_one_that_works_is_named() -> None:
    assert report(WORKS, generating("job-1", a_task("T"), a_task("U"))).task_id == "T"


@pytest.mark.parametrize(("cause", "too_often"), [(Cause.RATE_LIMITED, True), (Cause.MAINTENANCE, False)])
def test_a_read_that_was_refused_for_its_rate_says_so(cause: Cause, too_often: bool) -> None:
    refused = Unreadable(Why.REFUSED, 429, 200, "no", cause)
    assert report(refused, generating()).too_often is too_often


def test_a_success_is_reported_with_what_it_cost_and_took() -> None:
    desk = Desk(results=Recorder(ResultStore, ahead="the result"))
    done = report(DONE, generating("job-1", a_task("T")), desk)
    assert done == TaskSucceeded(
        job_id="job-1",
        task_id="T",
        urls=DONE.urls,
        cost=Decimal(7),
        ttl=900.0,
        sample="a sample",  # type: ignore[arg-type]
        result="the result",  # type: ignore[arg-type]
    )


def test_a_success_without_its_times_teaches_nothing() -> None:
    assert report(replace(DONE, completed_ms=None), generating()).sample is None


def test_a_failure_is_reported_with_its_task_and_the_time_for_a_callback() -> None:
    desk = Desk(settings={"callback_url": "https://hooks.example.test", "in_doubt_seconds": 300})
    failed = report(BROKE, generating("job-1", a_task("T")), desk)
    assert isinstance(failed, TaskFailed)
    assert isinstance(failed.error, GenerationFailed)
    assert (failed.error.task_id, failed.grace, failed.owed) == ("T", 300, False)


def test_a_failure_that_is_paid_for_is_owed_and_keeps_the_answer() -> None:
    since = str(ms(-400))
    failed = report(replace(DONE, urls=(), raw='{"state":"success"}'), generating(imageless=since))
    assert (failed.owed, failed.raw) == (True, '{"state":"success"}')


def test_a_success_without_images_keeps_the_answer_and_is_polled_again() -> None:
    again = report(replace(DONE, urls=(), raw='{"state":"success"}'), generating())
    assert isinstance(again, Polled)
    assert (again.imageless, again.raw) == (True, '{"state":"success"}')


def test_a_transient_failure_is_bought_again_once() -> None:
    transient = replace(BROKE, transient=True)
    assert report(transient, generating()).again is not None
    assert report(transient, generating(remade="1")).again is None


def test_a_failure_for_lack_of_credits_closes_the_account() -> None:
    assert report(replace(BROKE, cause=FailCause.NO_CREDITS), generating()).pause.credits


def test_a_duration_is_bounded_by_what_was_observed() -> None:
    record = generating(sent=str(ms(-10)), accepted=str(ms(-10)), seen=str(ms(-2)))
    asked = Asked(record, record.tasks[0], DONE, NOW)

    def told(seconds: float) -> float | None:
        return duration_of(asked, replace(DONE, created_ms=0, completed_ms=round(seconds * 1000)))

    assert told(9.0) == 9.0
    assert told(8 * 3600.0) == told(0.001) == 9.0
    assert duration_of(asked, replace(DONE, completed_ms=None)) is None


def test_a_task_that_the_provider_does_not_know_is_lost() -> None:
    lost = report(NoRecord(422, "none"), generating("job-1", a_task("T", sure=False, at=ms(-121))))
    assert isinstance(lost, TaskLost)
    assert (lost.task_id, lost.reason["cause"]) == ("T", "no_record")


# After a report


def test_an_end_that_is_still_to_be_stored_is_stored() -> None:
    ended = a_record("failed")
    desk = polled(generating(), answer=BROKE, ends=[TaskEnd("ended", NOW, ended)])
    assert desk.results.given("store")["record"] is ended


def test_an_end_that_the_ledger_has_stored_is_not_stored_again() -> None:
    desk = polled(generating(), answer=DONE, ends=[TaskEnd("ended", NOW)])
    assert desk.results.names == ["ahead"]


@pytest.mark.parametrize(("spent", "said"), [(Decimal(8), True), (Decimal(7), False), (None, False)])
def test_a_price_that_is_not_the_expected_one_is_said(
    spent: Decimal | None, said: bool, caplog: pytest.LogCaptureFixture
) -> None:
    polled(generating(), answer=replace(DONE, credits=spent), ends=[TaskEnd("ended", NOW)])
    assert ("provider/prices.py" in caplog.text) is said


@pytest.mark.parametrize("cost", [Decimal("1e13"), Decimal("NaN")])
def test_a_price_beyond_belief_is_unknown_and_said(cost: Decimal, caplog: pytest.LogCaptureFixture) -> None:
    done = replace(DONE, credits=cost, created_ms=0, completed_ms=10**400)
    told = report(done, generating())
    assert isinstance(told, TaskSucceeded)
    assert to_json(replace(told, sample=None))["outcome"] == made(DONE.urls, None)
    assert f"cannot have cost {cost} credits" in caplog.text


def test_a_price_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    polled(generating(), answer=replace(DONE, credits=Decimal(8)), ends=[TaskEnd("stale", None)])
    assert caplog.text == ""


def test_the_time_of_an_answer_is_by_the_ledger_s_clock() -> None:
    record = generating()
    assert record.open_task
    desk = Desk(provider=Recorder(KieClient, record_info=WORKS))
    leave = Leave(lambda: True, Stopwatch())
    asked = check_status.ask(desk.services(), Turn(record, record.open_task, leave))
    assert asked
    assert timedelta() <= asked.at - NOW < timedelta(seconds=60)
