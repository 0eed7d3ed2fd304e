"""Copies after the end of their job, and copies that fail for good."""

from dataclasses import replace

import pytest

from limner.errors import GenerationFailed
from limner.ledger import Record
from limner.status import JobState
from tests.integration.limner.ledger.conftest import Bench
from tests.integration.limner.ledger.copying import (
    AWAY,
    DAY,
    GONE,
    SENT,
    TTL,
    TWO,
    UNSENT,
    begin,
    claim,
    copying,
    delivered,
    due,
    files,
    lasts,
    made,
    put,
    report,
)
from tests.integration.limner.ledger.stories import record

# Copies after the end


def test_late_copies_have_the_result_stored_once_more(bench: Bench) -> None:
    job_id = delivered(bench)
    end = record(bench, job_id).finished_at
    assert report(bench, begin(bench), put(1, 2)) == "copied"
    assert (record(bench, job_id).finished_at, files(bench, job_id)) == (end, (["1.png", "2.png"], True))
    assert (due(bench, job_id, "due"), lasts(bench, job_id)) == (bench.ledger.leases.store, None)
    assert bench.events(job_id)[-1] == "copied"


def test_an_older_result_that_was_stored_is_replaced(bench: Bench) -> None:
    """The copies came while the result without them was being stored."""
    job_id = bench.generating()
    made(bench, job_id, copy=0.0)
    end = record(bench, job_id).finished_at
    assert end
    assert report(bench, begin(bench), put(1, 2)) == "copied"
    assert not bench.ledger.jobs.stored(job_id, end, ttl=TTL)
    assert (due(bench, job_id, "due"), lasts(bench, job_id)) == (0.0, None)
    assert bench.ledger.jobs.stored(job_id, end, ttl=TTL, copied=True)
    assert lasts(bench, job_id) == pytest.approx(TTL, abs=5)


def test_a_record_does_not_expire_before_its_copies(bench: Bench) -> None:
    job_id = bench.generating()
    made(bench, job_id, copy=0.0)
    for _ in range(3):
        assert bench.stored(job_id, ttl=TTL)
        assert lasts(bench, job_id) is None


def test_a_late_result_is_copied(bench: Bench) -> None:
    job_id = bench.generating()
    assert bench.ledger.jobs.fail(job_id, GenerationFailed("no"), [JobState.GENERATING])
    assert bench.stored(job_id)
    assert made(bench, job_id).what == "late"
    assert (bench.state(job_id), lasts(bench, job_id)) == ("succeeded", None)
    assert report(bench, begin(bench), put(1, 2)) == "copied"
    assert files(bench, job_id) == (["1.png", "2.png"], True)


def test_a_double_is_copied_beside_the_result(bench: Bench) -> None:
    job_id = copying(bench)
    assert bench.ledger.jobs.adopt(job_id, "another") == "adopted"
    begun = begin(bench)
    assert made(bench, job_id, ["https://a/3.png"], task="another").what == "noted"
    # The try that is under way knows nothing of it.
    assert report(bench, begun, put(1, 2), GONE) == "stale"
    assert report(bench, begin(bench), put(1, 2), AWAY) == "copied"
    assert (bench.state(job_id), files(bench, job_id)) == ("succeeded", (["1.png", "2.png"], True))
    bench.now += 5.0
    assert report(bench, begin(bench), put(3)) == "noted"
    assert files(bench, job_id) == (["1.png", "2.png"], True)
    assert [copy.task_id for copy in record(bench, job_id).copies] == ["task of a fox"] * 2 + ["another"]


def test_a_double_brings_a_stored_record_back(bench: Bench) -> None:
    job_id = delivered(bench)
    report(bench, begin(bench), put(1, 2))
    end = record(bench, job_id).finished_at
    assert end
    assert bench.ledger.jobs.stored(job_id, end, ttl=TTL, copied=True)
    assert bench.ledger.jobs.adopt(job_id, "another") == "adopted"
    made(bench, job_id, ["https://a/3.png"], task="another")
    assert (lasts(bench, job_id), due(bench, job_id)) == (None, 0.0)
    assert report(bench, begin(bench), put(3)) == "noted"
    assert lasts(bench, job_id) == pytest.approx(TTL, abs=5)


def test_a_cancelled_job_is_copied_all_the_same(bench: Bench) -> None:
    job_id = copying(bench)
    assert bench.ledger.jobs.cancel(job_id, UNSENT, SENT) is JobState.COPYING
    assert bench.ledger.jobs.cancel(job_id, UNSENT, SENT) is JobState.COPYING
    assert record(bench, job_id).tasks[0].urls == TWO
    assert bench.stored(job_id)
    assert lasts(bench, job_id) is None
    assert report(bench, begin(bench), put(1, 2)) == "noted"
    assert (bench.state(job_id), bench.events(job_id)[-1]) == ("cancelled", "copied")
    # Its images are no result, so its stored error stays.
    assert not record(bench, job_id).copied
    assert lasts(bench, job_id) == pytest.approx(TTL, abs=5)


def test_a_late_task_of_a_cancelled_job_is_copied(bench: Bench) -> None:
    job_id = bench.generating()
    bench.ledger.jobs.cancel(job_id, UNSENT, SENT)
    assert bench.stored(job_id)
    assert made(bench, job_id).what == "noted"
    assert lasts(bench, job_id) is None
    assert report(bench, begin(bench), put(1, 2)) == "noted"
    assert lasts(bench, job_id) == pytest.approx(TTL, abs=5)


def test_a_late_poll_that_waits_goes_behind_the_result(bench: Bench) -> None:
    job_id = delivered(bench)
    bench.now += 1.0
    assert bench.ledger.jobs.adopt(job_id, "another") == "adopted"
    assert bench.indexes(job_id) == ["ready:polls:main"]
    assert report(bench, begin_only(bench, job_id), put(1, 2)) == "copied"
    assert bench.indexes(job_id) == ["due"]


def begin_only(bench: Bench, job_id: str) -> Record:
    """Begin copies that were claimed by a worker that may not poll."""
    steps = bench.ledger.queue.claim(replace(bench.quota, polls=0), copies=8).steps
    begun = bench.ledger.copies.begin(job_id, steps[0].lease)
    assert begun
    return begun


# Copies that fail


def test_copies_that_fail_for_good_are_listed(bench: Bench) -> None:
    job_id = delivered(bench)
    assert report(bench, begin(bench), put(1), GONE) == "noted"
    assert (bench.events(job_id)[-1], due(bench, job_id)) == ("copy_failed", None)
    [failed] = bench.ledger.copies.failed()
    assert (failed.job_id, failed.failed, failed.at.timestamp()) == (job_id, True, bench.now)
    assert bench.ledger.copies.waiting() == []
    assert lasts(bench, job_id) == pytest.approx(14 * DAY, abs=5)


def test_a_job_that_waits_for_them_ends_at_once(bench: Bench) -> None:
    job_id = copying(bench)
    report(bench, begin(bench), put(1), GONE)
    assert due(bench, job_id, "due") == 0.0
    [step] = claim(bench)
    assert step.step == "recover"
    assert bench.ledger.copies.deliver(job_id, step.lease)
    assert files(bench, job_id) == (["1.png"], False)
    # The result is stored after the copies have failed, and the record is kept for them.
    assert bench.stored(job_id)
    assert lasts(bench, job_id) == pytest.approx(14 * DAY, abs=5)


def test_the_list_of_failed_copies_has_an_end(bench: Bench) -> None:
    failed = bench.ledger.prefix + "copies:failed"
    bench.client.zadd(failed, {f"old {number}": number for number in range(100_000)})
    job_id = delivered(bench)
    report(bench, begin(bench), {}, GONE)
    assert bench.client.zcard(failed) == 100_000
    assert bench.client.zscore(failed, "old 0") is None
    assert due(bench, job_id, "copies:failed") == 0.0


def test_a_person_has_them_tried_again(bench: Bench) -> None:
    job_id = delivered(bench)
    report(bench, begin(bench), put(1), GONE)
    bench.now += 60
    assert [bench.ledger.copies.retry(job_id) for _ in range(2)] == [1, 1]
    assert (lasts(bench, job_id), bench.ledger.copies.failed()) == (None, [])
    since = record(bench, job_id).copy_since
    assert since
    assert since.timestamp() == bench.now
    assert report(bench, begin(bench), put(2)) == "copied"
    assert bench.ledger.copies.retry(job_id) == 0
    assert bench.ledger.copies.retry("nobody") == -1


def test_a_try_under_way_does_not_give_up_what_a_person_has_retried(bench: Bench) -> None:
    job_id = delivered(bench)
    begun = begin(bench)
    assert bench.ledger.copies.retry(job_id) == 2
    assert report(bench, begun, {}, GONE) == "stale"
    assert due(bench, job_id) == 0.0


def test_a_new_image_has_failed_ones_tried_again(bench: Bench) -> None:
    job_id = delivered(bench)
    assert bench.ledger.jobs.adopt(job_id, "another") == "adopted"
    report(bench, begin(bench), {}, GONE)
    made(bench, job_id, ["https://a/3.png"], task="another")
    assert (due(bench, job_id), bench.ledger.copies.failed()) == (0.0, [])
    assert report(bench, begin(bench), put(1, 2, 3)) == "copied"
