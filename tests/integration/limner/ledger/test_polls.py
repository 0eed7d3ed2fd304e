"""Polls: their order and their signals, and steps that are given back."""

from celery import Celery

from limner.errors import RecordUnreadable
from limner.ledger import Claim, Grant, Money, Quota
from limner.ledger.messages import Adoption
from limner.ledger.record import Record
from limner.ledger.scripts.reports import Polled, Report, TaskSucceeded
from limner.status import TaskState
from tests.integration.limner.ledger import speaking
from tests.integration.limner.ledger.conftest import START, Bench
from tests.integration.limner.ledger.stories import NO_READS, ONE_READ, SENT, UNSENT, in_doubt, record
from worker.dispatcher import Dispatcher, messages
from worker.marks import Marks

WIDE = Quota(1000, 10.0, 1000, 1.0, 1000)


def test_an_attempt_given_back_frees_its_permit_and_slot(bench: Bench) -> None:
    narrow = Quota(1, 10.0, 1, 1.0, 1)
    job_id = bench.submit()
    [step] = bench.claim(narrow).steps
    assert bench.ledger.queue.give_back([step]) == 1
    assert bench.ledger.queue.give_back([step]) == 0
    assert bench.ledger.jobs.begin(job_id, step.lease, "t", deadline=900) == "stale"
    assert [again.step for again in bench.claim(narrow).steps] == ["create"]


def test_a_poll_given_back_is_made_again_and_its_permit_stays_used(bench: Bench) -> None:
    job_id = bench.generating(poll_in=0.0)
    [step] = bench.claim(ONE_READ).steps
    assert bench.ledger.queue.give_back([step]) == 1
    assert not speaking.polled(bench.ledger, job_id, step.lease, "waiting", poll_in=2.0)
    assert bench.claim(ONE_READ).steps == []
    bench.now += 1.0
    assert [again.step for again in bench.claim(ONE_READ).steps] == ["poll"]


def test_what_has_begun_is_not_given_back(bench: Bench) -> None:
    bench.submit()
    step = bench.claim_one()
    bench.ledger.jobs.begin(step.job_id, step.lease, "t", deadline=900)
    assert bench.ledger.queue.give_back([step]) == 0
    assert bench.indexes(step.job_id) == ["due"]


# Signals


def test_many_signals_during_a_poll_leave_it_valid_and_cause_one_more(bench: Bench) -> None:
    job_id = bench.generating(poll_in=0.0)
    step = bench.claim_one()
    for _ in range(50):
        assert bench.ledger.jobs.called_back(job_id, "token", "task of a fox") is Adoption.EXPECTED
    assert bench.claim().steps == []
    assert speaking.polled(bench.ledger, job_id, step.lease, "waiting", poll_in=600.0)
    for _ in range(50):
        bench.ledger.jobs.called_back(job_id, "token", "task of a fox")
    assert bench.claim().steps == []
    bench.now += 1.0
    assert bench.claim_one().step == "poll"


def signalled_before_others(bench: Bench) -> str:
    signalled = bench.generating("signalled", poll_in=600.0)
    for number in range(10):
        bench.generating(f"due {number}", poll_in=2.0)
    bench.now += 30.0
    bench.ledger.jobs.called_back(signalled, "token", "task of signalled")
    return signalled


def test_a_poll_that_is_given_back_keeps_its_signal(bench: Bench) -> None:
    signalled = signalled_before_others(bench)
    bench.ledger.queue.give_back(bench.claim(ONE_READ).steps)
    bench.now += 1.0
    assert [step.job_id for step in bench.claim(ONE_READ).steps] == [signalled]


def test_a_poll_without_a_valid_permit_keeps_its_signal(bench: Bench) -> None:
    signalled = signalled_before_others(bench)
    [step] = bench.claim(ONE_READ).steps
    bench.now += 1.0
    [other] = bench.claim(ONE_READ).steps
    assert speaking.begin_poll(bench.ledger, other.job_id, other.lease)
    assert speaking.begin_poll(bench.ledger, signalled, step.lease) is None
    bench.now += 1.0
    assert [step.job_id for step in bench.claim(ONE_READ).steps] == [signalled]


def test_a_signalled_poll_precedes_due_polls_and_wakes_a_dispatcher(bench: Bench) -> None:
    signalled = bench.generating("signalled", poll_in=600.0)
    bench.generating("due", poll_in=0.0)
    bench.now += 30.0
    bench.claim(NO_READS)
    bench.client.delete(bench.ledger.prefix + "wakeup")
    bench.ledger.jobs.called_back(signalled, "token", "task of signalled")
    assert bench.client.llen(bench.ledger.prefix + "wakeup") == 1
    assert [step.job_id for step in bench.claim(ONE_READ).steps] == [signalled]


def test_a_signal_never_delays_a_poll(bench: Bench) -> None:
    job_id = bench.generating(poll_in=0.0)
    speaking.polled(bench.ledger, job_id, bench.claim_one().lease, "waiting", poll_in=0.25)
    bench.ledger.jobs.called_back(job_id, "token", "task of a fox")
    assert bench.client.zscore(bench.ledger.prefix + "due", job_id) == (START + 0.25) * 1000
    bench.now += 0.25
    bench.claim(NO_READS)
    bench.now += 100.0
    bench.ledger.jobs.called_back(job_id, "token", "task of a fox")
    score = bench.client.zscore(bench.ledger.prefix + "ready:polls:main", job_id)
    assert score is not None
    assert score < (START + 0.25) * 1000


def test_late_polls_come_after_all_others(bench: Bench) -> None:
    live = bench.generating("live", poll_in=1.0)
    quiet = bench.generating("quiet")
    bench.ledger.jobs.cancel(quiet, UNSENT, SENT)
    bench.stored(quiet)
    assert bench.ledger.queue.give_back([bench.claim_one()]) == 1
    bench.now += 1.0
    assert [step.job_id for step in bench.claim(ONE_READ).steps] == [live]
    bench.now += 1.0
    assert [step.job_id for step in bench.claim(ONE_READ).steps] == [quiet]


def test_the_task_named_last_is_polled_first_and_then_each_in_turn(bench: Bench) -> None:
    job_id = in_doubt(bench)
    for task_id in ("T1", "T2"):
        assert bench.ledger.jobs.called_back(job_id, "token", task_id) is Adoption.ADOPTED
    assert bench.task_id(job_id) == "T2"
    lease = bench.claim_one().lease
    assert speaking.polled(bench.ledger, job_id, lease, "waiting", poll_in=0.0, task_id="T2", sure=True)
    assert bench.task_id(job_id) == "T1"
    lease = bench.claim_one().lease
    assert speaking.polled(bench.ledger, job_id, lease, "not there", poll_in=2.0, task_id="T1")
    assert bench.task_id(job_id) == "T2"
    [first, second] = record(bench, job_id).tasks
    assert (first.task_id, first.confirmed, second.confirmed) == ("T2", True, False)
    assert {task.state for task in (first, second)} == {TaskState.OPEN}


# Several at once


def many_generating(bench: Bench, count: int) -> list[str]:
    """Make jobs whose tasks are polled in two seconds."""
    jobs = [bench.submit(f"fox {number}") for number in range(count)]
    for step in bench.claim(WIDE).steps:
        grant = bench.ledger.jobs.begin(step.job_id, step.lease, "token", deadline=900)
        assert isinstance(grant, Grant)
        bench.ledger.jobs.accepted(step.job_id, grant.attempt, f"task of {step.job_id}", poll_in=2.0)
    bench.now += 2.0
    return jobs


def polls(bench: Bench) -> list[Claim]:
    steps = bench.claim(WIDE).steps
    assert {step.step for step in steps} <= {"poll"}
    return steps


def polled(step: Claim) -> Polled:
    return Polled(job_id=step.job_id, lease=step.lease, answer="generating", poll_in=600.0)


def succeeded(job_id: str) -> TaskSucceeded:
    return TaskSucceeded(job_id=job_id, task_id=f"task of {job_id}", urls=["https://a"], cost=None, ttl=60)


def test_a_lost_message_delays_only_its_own_polls(bench: Bench) -> None:
    jobs = many_generating(bench, 20)
    steps = polls(bench)
    assert len(steps) == 20
    lost, *others = messages(steps)
    for message in others:
        claims = [Claim(job_id, "poll", lease) for job_id, lease in message.arguments[0]]
        assert all(bench.ledger.jobs.begin_polls(claims))
        assert {end.what for end in (speaking.report(bench.ledger, polled(claim)) for claim in claims)} == {
            "held"
        }
    bench.now += bench.ledger.leases.poll - 0.001
    assert polls(bench) == []
    bench.now += 0.001
    again = polls(bench)
    assert {step.job_id for step in again} == {job_id for job_id, _ in lost.arguments[0]}
    assert len(again) == 8
    assert {step.job_id for step in again} <= set(jobs)


def test_polls_that_are_given_back_together_are_each_claimed_again(bench: Bench) -> None:
    many_generating(bench, 20)
    steps = polls(bench)
    assert bench.ledger.queue.give_back(steps) == 20
    again = polls(bench)
    assert [step.job_id for step in again] == [step.job_id for step in steps]
    assert bench.ledger.jobs.begin_polls(steps) == [None] * 20
    assert all(bench.ledger.jobs.begin_polls(again))


def test_a_poll_that_was_reported_is_not_given_back_with_the_others(bench: Bench) -> None:
    many_generating(bench, 3)
    first, *others = polls(bench)
    bench.ledger.jobs.begin_polls([first])
    speaking.report(bench.ledger, polled(first))
    assert bench.ledger.queue.give_back([first, *others]) == 2
    assert {step.job_id for step in polls(bench)} == {step.job_id for step in others}


def test_a_draining_dispatcher_gives_back_each_poll_of_its_messages(bench: Bench) -> None:
    many_generating(bench, 20)
    app = Celery("drained", broker="memory://", set_as_current=False)
    dispatcher = Dispatcher(app, bench.ledger, [WIDE], Money(), Marks())
    dispatcher.tick()
    assert polls(bench) == []
    dispatcher.give_back()
    assert len(polls(bench)) == 20


def begun(found: list[Record | RecordUnreadable | None]) -> list[str]:
    return [record.job_id for record in found if isinstance(record, Record)]


def test_polls_begin_together_and_stale_ones_are_left_out(bench: Bench) -> None:
    many_generating(bench, 4)
    one, stale, ended, other = polls(bench)
    speaking.task_succeeded(
        bench.ledger, ended.job_id, f"task of {ended.job_id}", ["https://a"], None, ttl=60
    )
    asked = [one, Claim(stale.job_id, "poll", stale.lease - 1), ended, Claim("nobody", "poll", 1), other]
    found = bench.ledger.jobs.begin_polls(asked)
    assert begun(found) == [one.job_id, other.job_id]
    assert found[1:4] == [None, None, None]


def test_an_unreadable_record_is_left_out_of_the_polls_that_begin(bench: Bench) -> None:
    many_generating(bench, 3)
    one, damaged, other = polls(bench)
    bench.client.hset(bench.ledger.jobs.key(damaged.job_id), "request", "{")
    found = bench.ledger.jobs.begin_polls([one, damaged, other])
    assert begun(found) == [one.job_id, other.job_id]
    assert isinstance(found[1], RecordUnreadable)


def test_a_damaged_record_does_not_block_the_other_polls_of_its_message(
    bench: Bench,
) -> None:
    jobs = many_generating(bench, 3)
    bench.client.hset(bench.ledger.jobs.key(jobs[1]), "request", "{")
    [message] = messages(polls(bench))
    steps = [Claim(job_id, "poll", lease) for job_id, lease in message.arguments[0]]
    assert sorted(begun(bench.ledger.jobs.begin_polls(steps))) == sorted([jobs[0], jobs[2]])


def test_reports_are_answered_in_order(bench: Bench) -> None:
    many_generating(bench, 4)
    one, two, three, four = polls(bench)
    bench.ledger.jobs.begin_polls([one, two, three, four])
    reports: list[Report] = [
        polled(one),
        succeeded(two.job_id),
        polled(Claim(three.job_id, "poll", three.lease - 1)),
        succeeded(four.job_id),
    ]
    answers = bench.ledger.jobs.report_polls(reports)
    assert [getattr(answer, "what", answer) for answer in answers] == ["held", "ended", "stale", "ended"]


def test_a_damaged_record_is_reported_and_the_other_reports_are_recorded(bench: Bench) -> None:
    many_generating(bench, 3)
    one, damaged, other = polls(bench)
    bench.ledger.jobs.begin_polls([one, damaged, other])
    bench.client.hset(bench.ledger.jobs.key(damaged.job_id), "attempt", "many")
    first, unreadable, last = bench.ledger.jobs.report_polls(
        [succeeded(step.job_id) for step in (one, damaged, other)]
    )
    assert [getattr(end, "what", end) for end in (first, last)] == ["ended", "ended"]
    assert isinstance(unreadable, RecordUnreadable)
    assert damaged.job_id in str(unreadable)


def test_a_report_that_occurs_twice_in_a_message_is_one_end(bench: Bench) -> None:
    many_generating(bench, 1)
    [step] = polls(bench)
    bench.ledger.jobs.begin_polls([step])
    bench.ledger.jobs.report_polls([succeeded(step.job_id), succeeded(step.job_id)])
    assert bench.events(step.job_id).count("succeeded") == 1
