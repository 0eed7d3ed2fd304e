"""A job that waits for the copies of its images, and the wake-ups for them."""

import json
from dataclasses import replace

import pytest

from limner.errors import GenerationFailed
from limner.ledger import COMPLETE, BackendResult
from limner.status import JobState
from tests.integration.limner.ledger.conftest import Bench
from tests.integration.limner.ledger.copying import (
    AWAY,
    PATIENCE,
    TTL,
    TWO,
    begin,
    claim,
    copying,
    due,
    files,
    lasts,
    made,
    put,
    report,
)
from tests.integration.limner.ledger.stories import in_doubt, record, recover

# A job that waits for its copies


def test_a_job_with_images_waits_for_their_copies(bench: Bench) -> None:
    job_id = copying(bench)
    assert bench.state(job_id) == "copying"
    assert bench.events(job_id)[-1] == "copying"
    assert (due(bench, job_id, "due"), due(bench, job_id)) == (PATIENCE, 0.0)
    assert record(bench, job_id).finished_at is None
    assert bench.client.zcard(bench.ledger.prefix + "in-flight:main") == 0
    assert [copy.url for copy in record(bench, job_id).copies] == list(TWO)


def test_it_has_no_result_to_store_while_it_waits(bench: Bench) -> None:
    assert made(bench, bench.generating()).record is None


def test_a_repeated_report_of_its_task_is_told_the_same(bench: Bench) -> None:
    job_id = copying(bench)
    assert made(bench, job_id).what == "copying"
    assert len(record(bench, job_id).copies) == 2
    assert bench.events(job_id).count("copying") == 1


def test_it_ends_when_its_images_are_stored(bench: Bench) -> None:
    job_id = copying(bench)
    what, ended = bench.ledger.copies.report(job_id, begin(bench).copy_lease, put(1, 2), COMPLETE, ttl=TTL)
    assert what == "copied"
    assert ended
    assert ended.state is JobState.SUCCEEDED
    assert files(bench, job_id) == (["1.png", "2.png"], True)
    assert bench.events(job_id)[-2:] == ["copied", "succeeded"]
    assert due(bench, job_id) is None
    assert (due(bench, job_id, "due"), lasts(bench, job_id)) == (bench.ledger.leases.store, None)
    assert bench.ledger.jobs.stored(job_id, ended.finished_at, ttl=TTL, copied=True)  # type: ignore[arg-type]
    assert bench.indexes(job_id) == []
    assert lasts(bench, job_id) == pytest.approx(TTL, abs=5)


def test_the_result_is_stored_with_the_end(bench: Bench) -> None:
    job_id = copying(bench)
    result = BackendResult(
        key="result", head='{"at":"', tail='"}', expires=60, attempt=1, ttl=TTL, follow=5.0
    )
    assert report(bench, begin(bench), put(1, 2), result=result) == "noted"
    finished = record(bench, job_id).finished_at
    assert finished
    assert json.loads(bench.client.get("result"))["at"].startswith(f"{finished:%Y-%m-%dT%H:%M:%S}")
    assert lasts(bench, job_id) == pytest.approx(TTL, abs=5)
    assert bench.indexes(job_id) == []


def test_one_stored_image_does_not_end_it(bench: Bench) -> None:
    job_id = copying(bench)
    assert report(bench, begin(bench), put(2), AWAY) == "noted"
    assert bench.state(job_id) == "copying"
    assert [copy.stored for copy in record(bench, job_id).copies] == [False, True]
    assert (due(bench, job_id), due(bench, job_id, "due")) == (5.0, PATIENCE)
    assert (bench.events(job_id)[-1], record(bench, job_id).copy_tries) == ("not_copied", 1)
    bench.now += 5.0
    assert report(bench, begin(bench), put(1)) == "copied"
    assert files(bench, job_id) == (["1.png", "2.png"], True)
    assert record(bench, job_id).copy_tries == 0


def test_it_ends_without_them_when_its_patience_is_over(bench: Bench) -> None:
    job_id = copying(bench)
    bench.now += PATIENCE
    [step] = [step for step in claim(bench, copies=0) if step.step == "recover"]
    ended = bench.ledger.copies.deliver(job_id, step.lease)
    assert ended
    assert ended.state is JobState.SUCCEEDED
    assert (ended.images().urls, ended.images().copied) == (list(TWO), False)
    assert bench.stored(job_id)
    assert (lasts(bench, job_id), due(bench, job_id)) == (None, -PATIENCE)


def test_a_lost_reply_to_that_end_changes_nothing(bench: Bench) -> None:
    job_id = copying(bench)
    bench.now += PATIENCE
    [step] = [step for step in claim(bench, copies=0) if step.step == "recover"]
    assert bench.ledger.copies.deliver(job_id, step.lease)
    assert bench.ledger.copies.deliver(job_id, step.lease) is None
    assert bench.events(job_id).count("succeeded") == 1
    # Its result is still stored by somebody.
    assert due(bench, job_id, "due") == bench.ledger.leases.store


def test_only_the_step_that_was_claimed_ends_it(bench: Bench) -> None:
    job_id = copying(bench)
    assert bench.ledger.copies.deliver(job_id, record(bench, job_id).lease + 1) is None
    assert bench.state(job_id) == "copying"


def test_without_patience_it_ends_at_once(bench: Bench) -> None:
    job_id = bench.generating()
    assert made(bench, job_id, copy=0.0).what == "ended"
    assert (bench.state(job_id), due(bench, job_id)) == ("succeeded", 0.0)


def test_images_that_are_not_to_be_copied_are_left_alone(bench: Bench) -> None:
    job_id = bench.generating()
    assert made(bench, job_id, copy=None).what == "ended"
    assert (record(bench, job_id).copies, due(bench, job_id)) == ((), None)


def test_neither_a_callback_nor_a_poll_disturbs_it(bench: Bench) -> None:
    job_id = copying(bench)
    assert bench.ledger.jobs.called_back(job_id, "token", "task of a fox") == "repeated"
    assert bench.ledger.jobs.adopt(job_id, "another") == "adopted"
    assert bench.ledger.jobs.called_back(job_id, "token", "another") == "expected"
    assert bench.ledger.jobs.reread(job_id) == 0
    assert bench.ledger.jobs.fail(job_id, GenerationFailed("no"), [JobState.GENERATING]) is None
    assert not bench.ledger.jobs.doubt(job_id, 1, {"cause": "timeout"}, grace=1.0)
    assert not bench.ledger.jobs.retry(job_id, 1, {"cause": "unavailable"}, delay=1.0)
    assert (bench.state(job_id), bench.indexes(job_id)) == ("copying", ["due"])
    assert due(bench, job_id, "due") == PATIENCE


def test_a_second_task_is_followed_after_its_end(bench: Bench) -> None:
    job_id = copying(bench)
    assert bench.ledger.jobs.adopt(job_id, "another") == "adopted"
    assert report(bench, begin(bench), put(1, 2)) == "copied"
    ended = record(bench, job_id).finished_at
    assert ended
    assert bench.ledger.jobs.stored(job_id, ended, ttl=TTL, follow=7.0, copied=True)
    assert (due(bench, job_id, "due"), lasts(bench, job_id)) == (7.0, None)


def test_a_step_from_before_its_images_cannot_end_it(bench: Bench) -> None:
    job_id = in_doubt(bench)
    bench.now += 5.0
    step = recover(bench, job_id)
    assert bench.ledger.jobs.adopt(job_id, "t1") == "adopted"
    assert made(bench, job_id).what == "copying"
    assert bench.ledger.copies.deliver(job_id, step.lease) is None
    assert bench.state(job_id) == "copying"


# Wake-ups


def test_new_images_wake_a_dispatcher(bench: Bench) -> None:
    job_id = bench.generating()
    bench.client.delete(bench.ledger.prefix + "wakeup")
    made(bench, job_id)
    assert bench.client.llen(bench.ledger.prefix + "wakeup") == 1


def test_the_end_of_a_copy_wakes_a_dispatcher_if_another_one_is_due(bench: Bench) -> None:
    for prompt, woken in (("the only one", 0), ("one of two", 1)):
        made(bench, bench.generating(prompt))
        [step] = claim(bench, copies=1)
        begun = bench.ledger.copies.begin(step.job_id, step.lease)
        assert begun
        if woken:
            made(bench, bench.generating("the other one"))
        bench.client.delete(bench.ledger.prefix + "wakeup")
        report(bench, begun, put(1), replace(AWAY, delay=600.0))
        assert bench.client.llen(bench.ledger.prefix + "wakeup") == woken


def test_a_worker_with_room_sleeps_until_the_next_try(bench: Bench) -> None:
    copying(bench)
    report(bench, begin(bench), {}, replace(AWAY, delay=0.25))
    waits = [bench.ledger.queue.claim(bench.quota, copies=copies).wait for copies in (8, 0)]
    assert waits[0] == 0.25
    assert waits[1] > 0.25
