"""Jobs whose records cannot be read are set apart, and keep no other job from its turn."""

from limner.errors import RecordTooNew, RecordUnreadable
from limner.ledger import Quota
from tests.integration.limner.ledger.conftest import Bench
from tests.integration.limner.ledger.errands import another_worker

FAULT = "its field turn is no number that can be"


def damage(bench: Bench, job_id: str, **fields: str) -> None:
    bench.client.hset(bench.ledger.jobs.key(job_id), mapping=fields)


def broken(bench: Bench) -> str:
    """A job whose record was damaged while it was generating."""
    job_id = bench.generating(poll_in=2.0)
    damage(bench, job_id, turn="x")
    bench.now += 2.0
    return job_id


def due_in(bench: Bench, job_id: str) -> float:
    score = bench.client.zscore(bench.ledger.prefix + "due", job_id)
    assert score is not None
    return round(float(score) / 1000 - bench.now, 3)


def test_a_damaged_record_is_set_apart_and_told_once(bench: Bench) -> None:
    job_id = broken(bench)
    assert [said for _ in range(3) for said in bench.claim().unreadable] == [f"BROKEN job {job_id}: {FAULT}"]
    [found] = bench.ledger.jobs.broken()
    assert (found.job_id, found.since.timestamp()) == (job_id, bench.now)
    assert FAULT in found.fault
    assert bench.events(job_id)[-1] == "set_apart"
    assert due_in(bench, job_id) == 3600


def test_it_is_tried_again_each_hour_without_a_word(bench: Bench) -> None:
    job_id = broken(bench)
    bench.claim()
    for _ in range(3):
        bench.now += 3600
        claimed = bench.claim()
        assert (claimed.steps, claimed.unreadable, due_in(bench, job_id)) == ([], [], 3600)
    assert bench.events(job_id).count("set_apart") == 1


def test_a_repaired_record_goes_on_by_itself(bench: Bench) -> None:
    job_id = broken(bench)
    bench.claim()
    damage(bench, job_id, turn="1")
    bench.now += 3600
    assert bench.claim_one().job_id == job_id
    assert bench.ledger.jobs.broken() == []


def test_a_person_has_it_tried_again_at_once(bench: Bench) -> None:
    job_id = broken(bench)
    bench.claim()
    damage(bench, job_id, turn="1")
    assert bench.ledger.jobs.put_back(job_id)
    assert bench.claim_one().job_id == job_id
    assert not bench.ledger.jobs.put_back(job_id)


def test_a_person_gives_it_up(bench: Bench) -> None:
    job_id = broken(bench)
    bench.claim()
    assert bench.ledger.jobs.put_back(job_id, drop=True)
    assert bench.indexes(job_id) == []
    assert bench.client.zscore(bench.ledger.prefix + "in-flight:main", job_id) is None
    assert 0 < bench.client.pttl(bench.ledger.jobs.key(job_id)) <= 30 * 86_400_000
    assert bench.ledger.jobs.broken() == []


def test_a_hundred_of_them_keep_no_job_from_its_turn(bench: Bench) -> None:
    for number in range(150):
        damage(bench, bench.submit(f"fox {number}"), attempt="1e300")
    job_id = bench.submit("a good one")
    steps = [step.job_id for _ in range(30) for step in bench.claim().steps]
    assert steps == [job_id]
    assert len(bench.ledger.jobs.broken()) == 150


def test_a_newer_record_is_tried_again_soon(bench: Bench) -> None:
    job_id = bench.submit()
    damage(bench, job_id, v="99")
    assert len(bench.claim().unreadable) == 1
    assert due_in(bench, job_id) == 20


def test_workers_with_other_settings_try_it_at_once(bench: Bench) -> None:
    job_id = broken(bench)
    bench.claim()
    damage(bench, job_id, turn="1")
    assert [step.job_id for step in another_worker(bench).queue.claim(Quota(5, 10.0, 10, 1.0, 5)).steps] == [
        job_id
    ]


def test_a_worker_sets_apart_what_only_it_cannot_read(bench: Bench) -> None:
    job_id = bench.generating()
    assert bench.ledger.jobs.set_apart(job_id, RecordUnreadable("the record is damaged"))
    assert not bench.ledger.jobs.set_apart(job_id, RecordUnreadable("the record is damaged"))
    assert due_in(bench, job_id) == 3600


def test_a_worker_that_is_too_old_leaves_it_to_the_others_soon(bench: Bench) -> None:
    job_id = bench.generating()
    assert bench.ledger.jobs.set_apart(job_id, RecordTooNew("version 99"))
    assert due_in(bench, job_id) == 20


def test_a_job_that_is_not_due_is_not_set_apart(bench: Bench) -> None:
    assert not bench.ledger.jobs.set_apart(bench.submit(), RecordUnreadable("damaged"))
