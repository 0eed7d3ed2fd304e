"""Claims: the window, the cap on jobs in flight, the ready queue and the wake-up."""

import threading
import time

import pytest

from limner.ledger import LONGEST_NAP, Closing, Ledger, Quota
from tests.integration.limner.ledger import speaking
from tests.integration.limner.ledger.conftest import Bench

CLOSED = Closing("no_credits", 60.0, 900.0)
BRIEFLY = Closing("rate_limited", 1.0, 60.0)


def test_the_window_is_exact(bench: Bench) -> None:
    for number in range(50):
        bench.submit(f"fox {number}")
    assert len(bench.claim().steps) == 20
    bench.now += 9.999
    assert bench.claim().steps == []
    bench.now += 0.001
    assert len(bench.claim().steps) == 20


def test_the_wait_ends_when_the_next_permit_is_free(bench: Bench) -> None:
    narrow = Quota(2, 10.0, 10, 1.0, 100)
    for number in range(3):
        bench.submit(f"fox {number}")
    bench.claim(narrow)
    bench.now += 4.0
    assert bench.claim(narrow).wait == pytest.approx(6.0, abs=0.002)


def test_the_window_counts_from_the_sending(bench: Bench) -> None:
    narrow = Quota(1, 10.0, 10, 1.0, 100)
    first = bench.submit("first")
    bench.submit("second")
    [step] = bench.claim(narrow).steps
    bench.now += 5.0
    bench.ledger.jobs.begin(first, step.lease, "t", deadline=900)
    bench.now += 9.0
    assert bench.claim(narrow).steps == []
    bench.now += 1.0
    assert len(bench.claim(narrow).steps) == 1


def test_reads_have_their_own_window(bench: Bench) -> None:
    jobs = [bench.generating(f"fox {number}", poll_in=1.0) for number in range(15)]
    bench.now += 1.0
    assert len(bench.claim().steps) == 10
    bench.now += 1.0
    assert len(bench.claim().steps) == 5
    assert len(jobs) == 15


def test_polls_that_have_been_due_longest_go_first(bench: Bench) -> None:
    late = bench.generating("late", poll_in=5.0)
    early = bench.generating("early", poll_in=1.0)
    bench.now += 10.0
    one_read = Quota(20, 10.0, 1, 1.0, 100)
    assert [step.job_id for step in bench.claim(one_read).steps] == [early]
    bench.now += 1.0
    assert [step.job_id for step in bench.claim(one_read).steps] == [late]


def test_no_more_jobs_are_in_flight_than_the_cap(bench: Bench) -> None:
    capped = Quota(20, 10.0, 10, 1.0, 3)
    for number in range(5):
        bench.submit(f"fox {number}")
    claimed = bench.claim(capped)
    assert len(claimed.steps) == 3
    assert bench.claim(capped).wait == pytest.approx(20.0)
    first = claimed.steps[0]
    bench.ledger.jobs.begin(first.job_id, first.lease, "t", deadline=900)
    bench.ledger.jobs.retry(first.job_id, 1, {"cause": "rate_limited"}, delay=100)
    assert len(bench.claim(capped).steps) == 1


def test_a_lost_step_frees_its_slot_and_is_granted_again(bench: Bench) -> None:
    job_id = bench.submit()
    first = bench.claim_one()
    assert bench.claim().steps == []
    bench.now += bench.ledger.leases.step
    second = bench.claim_one()
    assert (second.job_id, second.step) == (job_id, "create")
    assert second.lease > first.lease
    assert bench.client.zcard(bench.ledger.prefix + "in-flight:main") == 1


def test_a_used_lease_begins_nothing(bench: Bench) -> None:
    job_id = bench.submit()
    lease = bench.claim_one().lease
    bench.ledger.jobs.begin(job_id, lease, "first", deadline=900)
    bench.ledger.jobs.retry(job_id, 1, {"cause": "rate_limited"}, delay=100.0)
    assert bench.ledger.jobs.begin(job_id, lease, "second", deadline=900) == "stale"
    assert bench.indexes(job_id) == ["due"]
    bench.now += 11.0
    bench.claim()
    assert bench.ledger.jobs.begin(job_id, lease, "third", deadline=900) == "stale"
    assert bench.indexes(job_id) == ["due"]


def test_an_expired_lease_begins_nothing_during_a_pause(bench: Bench) -> None:
    first, second = bench.submit("first"), bench.submit("second")
    leases = {step.job_id: step.lease for step in bench.claim().steps}
    bench.ledger.jobs.begin(second, leases[second], "t", deadline=900)
    bench.ledger.jobs.retry(second, 1, {"cause": "no_credits"}, delay=0.0, pause=CLOSED)
    bench.now += 20.0
    bench.claim()
    assert bench.ledger.jobs.begin(first, leases[first], "t", deadline=900) == "stale"
    assert bench.indexes(first) == ["ready"]


def test_a_poll_with_an_expired_lease_changes_nothing(bench: Bench) -> None:
    one_read = Quota(20, 10.0, 1, 1.0, 100)
    jobs = [bench.generating(f"fox {number}", poll_in=5.0) for number in range(2)]
    bench.now += 5.0
    [step] = bench.claim(one_read).steps
    bench.now += bench.ledger.leases.poll
    bench.claim(one_read)
    assert step.job_id in jobs
    assert bench.indexes(step.job_id) == ["ready:polls:main"]
    assert not speaking.polled(bench.ledger, step.job_id, step.lease, "waiting", poll_in=2.0)
    assert bench.indexes(step.job_id) == ["ready:polls:main"]


def test_a_shorter_pause_does_not_end_a_longer_one(bench: Bench) -> None:
    (first, grant), (second, other) = bench.sending("first"), bench.sending("second")
    bench.ledger.jobs.retry(first, grant.attempt, {"cause": "no_credits"}, delay=0.0, pause=CLOSED)
    bench.ledger.jobs.retry(second, other.attempt, {"cause": "no_credits"}, delay=0.0, pause=BRIEFLY)
    bench.now += 59.0
    assert bench.claim().steps == []


def test_an_attempt_whose_lease_has_expired_is_recovered_and_not_sent_again(bench: Bench) -> None:
    job_id, _ = bench.sending()
    bench.now += bench.ledger.leases.send - 0.001
    assert bench.claim().steps == []
    bench.now += 0.001
    step = bench.claim_one()
    assert (step.job_id, step.step) == (job_id, "recover")


def test_higher_priority_goes_first_and_age_decides_among_equals(bench: Bench) -> None:
    slow = bench.submit("slow", priority=1)
    bench.now += 1
    first = bench.submit("first", priority=5)
    bench.now += 1
    second = bench.submit("second", priority=5)
    urgent = bench.submit("urgent", priority=9)
    assert [step.job_id for step in bench.claim().steps] == [urgent, first, second, slow]


def test_concurrent_dispatchers_never_get_the_same_step(bench: Bench, valkey_url: str) -> None:
    from limner._redis import connect

    jobs = {bench.submit(f"fox {number}") for number in range(300)}
    wide = Quota(1000, 10.0, 10, 1.0, 1000)
    taken: list[str] = []

    def clock() -> None:
        with connect(valkey_url) as client:
            ledger = Ledger(client)
            for _ in range(60):
                taken.extend(step.job_id for step in ledger.queue.claim(wide, batch=2).steps)

    threads = [threading.Thread(target=clock) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == sorted(jobs)


def test_a_submission_wakes_a_sleeping_dispatcher(bench: Bench) -> None:
    woken: list[float] = []

    def sleep() -> None:
        bench.ledger.queue.wakeup().wait(4.0)
        woken.append(time.monotonic())

    thread = threading.Thread(target=sleep)
    thread.start()
    time.sleep(0.1)
    notified = time.monotonic()
    bench.submit()
    thread.join()
    assert woken[0] - notified < 2.0


def test_a_dispatcher_without_work_sleeps(bench: Bench) -> None:
    assert bench.claim().wait == LONGEST_NAP


def test_a_job_without_a_record_is_removed_from_the_index(bench: Bench) -> None:
    job_id = bench.generating(poll_in=0.0)
    bench.client.delete(bench.ledger.jobs.key(job_id))
    assert bench.claim().steps == []
    assert bench.indexes(job_id) == []


def test_jobs_submitted_at_the_same_time_keep_their_order(bench: Bench) -> None:
    from limner.ledger import Submission

    bench.ledger.jobs.submit_many([Submission(job_id=f"j{n}", request="{}", digest="d") for n in range(5000)])
    assert [step.job_id for step in bench.claim(Quota(3, 10, 10, 1, 100)).steps] == ["j0", "j1", "j2"]
