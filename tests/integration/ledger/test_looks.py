"""When a task is looked at, and what becomes of steps that nobody takes."""

from limner.ledger import Quota
from limner.records import TaskState
from limner.terms import Adoption
from tests.integration.ledger.conftest import START, Bench
from tests.integration.ledger.stories import NO_READS, ONE_READ, SENT, UNSENT, in_doubt, record


def test_an_attempt_given_back_returns_its_permit_and_its_place(bench: Bench) -> None:
    narrow = Quota(1, 10.0, 1, 1.0, 1)
    job_id = bench.submit()
    [step] = bench.claim(narrow).steps
    assert bench.ledger.queue.give_back([step]) == 1
    assert bench.ledger.queue.give_back([step]) == 0
    assert bench.ledger.jobs.begin(job_id, step.lease, "t", deadline=900) == "stale"
    assert [again.step for again in bench.claim(narrow).steps] == ["create"]


def test_a_look_given_back_is_made_again_and_its_permit_stays_used(bench: Bench) -> None:
    job_id = bench.generating(look_in=0.0)
    [step] = bench.claim(ONE_READ).steps
    assert bench.ledger.queue.give_back([step]) == 1
    assert not bench.ledger.jobs.looked(job_id, step.lease, "waiting", look_in=2.0)
    assert bench.claim(ONE_READ).steps == []
    bench.now += 1.0
    assert [again.step for again in bench.claim(ONE_READ).steps] == ["look"]


def test_what_has_begun_is_not_given_back(bench: Bench) -> None:
    bench.submit()
    step = bench.claim_one()
    bench.ledger.jobs.begin(step.job_id, step.lease, "t", deadline=900)
    assert bench.ledger.queue.give_back([step]) == 0
    assert bench.places(step.job_id) == ["due"]


# Hints


def test_a_flood_of_hints_during_a_look_leaves_it_valid_and_calls_for_one_more(bench: Bench) -> None:
    job_id = bench.generating(look_in=0.0)
    step = bench.claim_one()
    for _ in range(50):
        assert bench.ledger.jobs.called_back(job_id, "token", "task of a fox") is Adoption.EXPECTED
    assert bench.claim().steps == []
    assert bench.ledger.jobs.looked(job_id, step.lease, "waiting", look_in=600.0)
    for _ in range(50):
        bench.ledger.jobs.called_back(job_id, "token", "task of a fox")
    assert bench.claim().steps == []
    bench.now += 1.0
    assert bench.claim_one().step == "look"


def hinted_before_others(bench: Bench) -> str:
    hinted = bench.generating("hinted", look_in=600.0)
    for number in range(10):
        bench.generating(f"due {number}", look_in=2.0)
    bench.now += 30.0
    bench.ledger.jobs.called_back(hinted, "token", "task of hinted")
    return hinted


def test_a_look_that_is_given_back_keeps_its_hint(bench: Bench) -> None:
    hinted = hinted_before_others(bench)
    bench.ledger.queue.give_back(bench.claim(ONE_READ).steps)
    bench.now += 1.0
    assert [step.job_id for step in bench.claim(ONE_READ).steps] == [hinted]


def test_a_look_that_came_too_late_for_its_permit_keeps_its_hint(bench: Bench) -> None:
    hinted = hinted_before_others(bench)
    [step] = bench.claim(ONE_READ).steps
    bench.now += 1.0
    [other] = bench.claim(ONE_READ).steps
    assert bench.ledger.jobs.begin_look(other.job_id, other.lease)
    assert bench.ledger.jobs.begin_look(hinted, step.lease) is None
    bench.now += 1.0
    assert [step.job_id for step in bench.claim(ONE_READ).steps] == [hinted]


def test_a_hint_goes_before_looks_that_are_due_and_wakes_a_clock(bench: Bench) -> None:
    hinted = bench.generating("hinted", look_in=600.0)
    bench.generating("due", look_in=0.0)
    bench.now += 30.0
    bench.claim(NO_READS)
    bench.client.delete(bench.ledger.prefix + "bell")
    bench.ledger.jobs.called_back(hinted, "token", "task of hinted")
    assert bench.client.llen(bench.ledger.prefix + "bell") == 1
    assert [step.job_id for step in bench.claim(ONE_READ).steps] == [hinted]


def test_a_hint_never_makes_a_look_later(bench: Bench) -> None:
    job_id = bench.generating(look_in=0.0)
    bench.ledger.jobs.looked(job_id, bench.claim_one().lease, "waiting", look_in=0.25)
    bench.ledger.jobs.called_back(job_id, "token", "task of a fox")
    assert bench.client.zscore(bench.ledger.prefix + "due", job_id) == (START + 0.25) * 1000
    bench.now += 0.25
    bench.claim(NO_READS)
    bench.now += 100.0
    bench.ledger.jobs.called_back(job_id, "token", "task of a fox")
    score = bench.client.zscore(bench.ledger.prefix + "line:look:main", job_id)
    assert score is not None
    assert score < (START + 0.25) * 1000


def test_quiet_looks_come_after_those_that_somebody_waits_for(bench: Bench) -> None:
    live = bench.generating("live", look_in=1.0)
    quiet = bench.generating("quiet")
    bench.ledger.jobs.cancel(quiet, UNSENT, SENT)
    bench.stored(quiet)
    assert bench.ledger.queue.give_back([bench.claim_one()]) == 1
    bench.now += 1.0
    assert [step.job_id for step in bench.claim(ONE_READ).steps] == [live]
    bench.now += 1.0
    assert [step.job_id for step in bench.claim(ONE_READ).steps] == [quiet]


def test_the_task_that_was_named_last_is_looked_at_first_and_each_has_its_turn(bench: Bench) -> None:
    job_id = in_doubt(bench)
    for task_id in ("T1", "T2"):
        assert bench.ledger.jobs.called_back(job_id, "token", task_id) is Adoption.ADOPTED
    assert bench.task_id(job_id) == "T2"
    lease = bench.claim_one().lease
    assert bench.ledger.jobs.looked(job_id, lease, "waiting", look_in=0.0, task_id="T2", sure=True)
    assert bench.task_id(job_id) == "T1"
    lease = bench.claim_one().lease
    assert bench.ledger.jobs.looked(job_id, lease, "not there", look_in=2.0, task_id="T1")
    assert bench.task_id(job_id) == "T2"
    [first, second] = record(bench, job_id).tasks
    assert (first.task_id, first.confirmed, second.confirmed) == ("T2", True, False)
    assert {task.state for task in (first, second)} == {TaskState.OPEN}
