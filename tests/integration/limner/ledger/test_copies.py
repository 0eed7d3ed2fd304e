"""Copies of paid images: a lease and an index of their own, beside everything else that happens to a job."""

import json
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

import pytest

from limner.errors import Cancelled, GenerationFailed, RecordUnreadable
from limner.ledger import COMPLETE, BackendResult, Claim, Grant, Record, Shortfall, Stored, TaskEnd
from limner.ledger.scripts.reports import TaskSucceeded
from limner.models import ImageFile
from limner.status import JobState
from tests.integration.limner.ledger import speaking
from tests.integration.limner.ledger.conftest import Bench, new
from tests.integration.limner.ledger.stories import record

PATIENCE: Final = 30.0
TTL: Final = 60.0
DAY: Final = 86_400.0
AWAY: Final = Shortfall({"cause": "storage", "message": "the bucket is away"}, 5.0)
GONE: Final = Shortfall({"cause": "link", "message": "404"}, 5.0, give_up=True)
UNSENT, SENT = Cancelled("unsent"), Cancelled("sent", {"charged": "maybe"})
TWO: Final = ("https://a/1.png", "https://a/2.png")


def image(number: int = 1, size: int = 1000) -> ImageFile:
    return ImageFile(
        url=f"https://cdn/{number}.png",
        name=f"{number}.png",
        sha256="ab" * 32,
        size=size,
        content_type="image/png",
        width=64,
        height=48,
    )


def put(*numbers: int) -> dict[int, Stored]:
    """These images are in the storage, each with a thumbnail of 24 bytes."""
    return {number: Stored(image(number), objects=2, bytes=1024) for number in numbers}


def made(
    bench: Bench, job_id: str, urls: Sequence[str] = TWO, *, copy: float | None = PATIENCE, task: str = ""
) -> TaskEnd:
    """A task of the job has made images, which are copied."""
    return speaking.report(
        bench.ledger,
        TaskSucceeded(
            job_id=job_id,
            task_id=task or bench.task_id(job_id),
            urls=urls,
            cost=Decimal(7),
            ttl=TTL,
            copy=copy,
        ),
    )


def copying(bench: Bench, urls: Sequence[str] = TWO) -> str:
    job_id = bench.generating()
    assert made(bench, job_id, urls).what == "copying"
    return job_id


def delivered(bench: Bench) -> str:
    """A job that has succeeded before its images are copied, and whose result is stored."""
    job_id = bench.generating()
    assert made(bench, job_id, copy=0.0).what == "ended"
    assert bench.stored(job_id, ttl=TTL)
    return job_id


def claim(bench: Bench, copies: int = 8) -> list[Claim]:
    return bench.ledger.queue.claim(bench.quota, copies=copies).steps


def begin(bench: Bench) -> Record:
    """Claim the one job whose images are due, and begin its copies."""
    [step] = [step for step in claim(bench) if step.step == "copy"]
    found = bench.ledger.copies.begin(step.job_id, step.lease)
    assert found
    return found


def report(
    bench: Bench,
    begun: Record,
    stored: dict[int, Stored],
    left: Shortfall = COMPLETE,
    result: BackendResult | None = None,
) -> str:
    what, _ = bench.ledger.copies.report(begun.job_id, begun.copy_lease, stored, left, ttl=TTL, result=result)
    return what


def due(bench: Bench, job_id: str, index: str = "copies") -> float | None:
    """Seconds until the job is due in that index."""
    score = bench.client.zscore(bench.ledger.prefix + index, job_id)
    return None if score is None else round(float(score) / 1000 - bench.now, 3)


def lasts(bench: Bench, job_id: str) -> float | None:
    """Seconds for which the record is kept, or None for ever."""
    left = bench.client.pttl(bench.ledger.jobs.key(job_id))
    log = bench.client.pttl(f"{bench.ledger.prefix}log:{job_id}")
    assert (left < 0) == (log < 0)
    return None if left < 0 else float(left) / 1000


def files(bench: Bench, job_id: str) -> tuple[list[str], bool]:
    images = record(bench, job_id).images()
    return [file.name for file in images.files], images.copied


# A job that waits for its copies


def test_a_job_with_images_waits_for_their_copies(bench: Bench) -> None:
    job_id = copying(bench)
    assert bench.state(job_id) == "copying"
    assert bench.events(job_id)[-1] == "copying"
    assert (due(bench, job_id, "due"), due(bench, job_id)) == (PATIENCE, 0.0)
    assert record(bench, job_id).finished_at is None
    assert bench.client.zcard(bench.ledger.prefix + "in-flight:main") == 0
    assert [copy.url for copy in record(bench, job_id).copies] == list(TWO)


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


# Leases


def test_nobody_else_copies_while_the_lease_lasts(bench: Bench) -> None:
    job_id = copying(bench)
    [step] = claim(bench)
    assert (step.step, due(bench, job_id)) == ("copy", bench.ledger.leases.copy)
    assert claim(bench) == []


def test_begun_copies_cannot_be_given_back_or_begun_again(bench: Bench) -> None:
    copying(bench)
    [step] = claim(bench)
    assert bench.ledger.copies.begin(step.job_id, step.lease)
    assert bench.ledger.copies.begin(step.job_id, step.lease) is None
    assert bench.ledger.queue.give_back([step]) == 0


def test_copies_that_are_given_back_are_due(bench: Bench) -> None:
    job_id = copying(bench)
    [step] = claim(bench)
    assert bench.ledger.queue.give_back([step]) == 1
    assert due(bench, job_id) == 0.0


def test_the_lease_is_renewed(bench: Bench) -> None:
    job_id = copying(bench)
    begun = begin(bench)
    bench.now += 15.0
    assert bench.ledger.copies.renew(job_id, begun.copy_lease)
    assert due(bench, job_id) == bench.ledger.leases.copy


def test_a_step_whose_lease_is_over_is_another_workers(bench: Bench) -> None:
    job_id = copying(bench)
    first = begin(bench)
    bench.now += bench.ledger.leases.copy
    second = begin(bench)
    assert not bench.ledger.copies.renew(job_id, first.copy_lease)
    assert not bench.ledger.copies.plan(job_id, first.copy_lease, 1, image())
    assert report(bench, first, put(1, 2)) == "stale"
    assert report(bench, second, put(1, 2)) == "copied"


def test_a_worker_without_room_claims_no_copies(bench: Bench) -> None:
    for prompt in ("one", "two", "three"):
        job_id = bench.generating(prompt)
        assert made(bench, job_id).what == "copying"
    assert claim(bench, copies=0) == []
    assert len(claim(bench, copies=2)) == 2


def test_a_planned_object_is_on_record_before_it_is_stored(bench: Bench) -> None:
    job_id = copying(bench)
    begun = begin(bench)
    assert bench.ledger.copies.plan(job_id, begun.copy_lease, 2, image(2))
    [first, second] = record(bench, job_id).copies
    assert (first.file, second.file, second.stored) == (None, image(2), False)


def test_a_stored_or_unknown_image_is_not_planned(bench: Bench) -> None:
    job_id = copying(bench)
    assert report(bench, begin(bench), put(1), AWAY) == "noted"
    bench.now += 5.0
    begun = begin(bench)
    assert not bench.ledger.copies.plan(job_id, begun.copy_lease, 1, image(9))
    assert not bench.ledger.copies.plan(job_id, begun.copy_lease, 3, image(9))
    assert record(bench, job_id).copies[0].file == image(1)


# Reports


def test_a_repeated_report_changes_nothing(bench: Bench) -> None:
    """Its first reply was lost."""
    job_id = copying(bench)
    begun = begin(bench)
    assert [report(bench, begun, put(1), AWAY) for _ in range(2)] == ["noted", "stale"]
    assert record(bench, job_id).copy_tries == 1
    assert bench.events(job_id).count("not_copied") == 1
    assert not bench.ledger.copies.renew(job_id, begun.copy_lease)
    assert due(bench, job_id) == 5.0


def test_a_person_is_told_once_that_copies_are_overdue(bench: Bench) -> None:
    job_id = copying(bench)
    for _ in range(3):
        report(bench, begin(bench), {}, replace(AWAY, overdue=True))
        bench.now += 5.0
    assert bench.events(job_id).count("copy_overdue") == 1


def test_what_is_stored_is_counted_once(bench: Bench) -> None:
    copying(bench)
    report(bench, begin(bench), put(1), AWAY)
    bench.now += 5.0
    report(bench, begin(bench), put(1, 2))
    key = f"{bench.ledger.prefix}money:{int(bench.now // DAY)}"
    assert bench.client.hmget(key, "copied_objects", "copied_bytes") == ["4", "2048"]


def test_a_day_on_which_nothing_else_was_booked_is_forgotten_as_well(bench: Bench) -> None:
    copying(bench)
    bench.now += DAY
    begun = begin(bench)
    report(bench, begun, put(1), AWAY)
    key = f"{bench.ledger.prefix}money:{int(bench.now // DAY)}"
    assert bench.client.hgetall(key) == {"copied_objects": "2", "copied_bytes": "1024"}
    assert bench.client.ttl(key) > 0


def test_the_event_tells_how_much_was_stored(bench: Bench) -> None:
    job_id = copying(bench)
    report(bench, begin(bench), put(1, 2))
    [copied] = [entry for entry in bench.ledger.journal.log(job_id) if entry.event == "copied"]
    assert copied.detail == {"images": 2, "size": 2000}


def test_the_events_are_those_of_the_namespace(bench: Bench) -> None:
    prepared = replace(new(metadata={"order": 7}), namespace="shop")
    job_id = bench.ledger.jobs.submit(prepared).job_id
    grant = bench.ledger.jobs.begin(job_id, bench.claim_one().lease, "token", deadline=900)
    assert isinstance(grant, Grant)
    assert bench.ledger.jobs.accepted(job_id, grant.attempt, "t1", poll_in=2.0)
    made(bench, job_id)
    report(bench, begin(bench), put(1, 2))
    events = bench.client.xrange(bench.ledger.prefix + "events")
    told = {fields["event"]: fields for _, fields in events}
    for name in ("copying", "copied", "succeeded"):
        assert (told[name]["namespace"], told[name]["metadata"]) == ("shop", '{"order":7}')


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


# The ledger's own accidents


def test_an_index_entry_without_a_record_is_removed(bench: Bench) -> None:
    job_id = delivered(bench)
    bench.client.delete(bench.ledger.jobs.key(job_id))
    assert bench.ledger.copies.waiting() == []
    bench.client.zadd(bench.ledger.prefix + "copies", {job_id: 1})
    assert (claim(bench), due(bench, job_id)) == ([], None)


def test_a_job_without_images_is_not_kept_due(bench: Bench) -> None:
    job_id = delivered(bench)
    bench.client.hdel(bench.ledger.jobs.key(job_id), "copies")
    assert (claim(bench), due(bench, job_id)) == ([], None)
    bench.client.zadd(bench.ledger.prefix + "copies", {job_id: 1})
    assert bench.ledger.copies.begin(job_id, record(bench, job_id).copy_lease) is None


@pytest.mark.parametrize(
    "copies",
    [
        "",
        "{}",
        "[null]",
        '[{"task":"t"}]',
        '[{"task":"t","url":1}]',
        '[{"task":"t","url":"u","stored":true}]',
        '[{"task":"t","url":"u","stored":true,"file":{"size":"x"}}]',
    ],
)
def test_a_job_with_damaged_copies_is_set_apart(bench: Bench, copies: str) -> None:
    job_id = delivered(bench)
    bench.client.hset(bench.ledger.jobs.key(job_id), "copies", copies)
    claimed = bench.ledger.queue.claim(bench.quota, copies=8)
    assert (claimed.steps, len(claimed.unreadable)) == ([], 1)
    assert [found.job_id for found in bench.ledger.jobs.broken()] == [job_id]
    assert (due(bench, job_id), due(bench, job_id, "due")) == (3600.0, None)


def test_a_job_that_only_a_worker_cannot_read_is_set_apart(bench: Bench) -> None:
    job_id = delivered(bench)
    damaged = json.dumps([{"task": "t", "url": "u", "file": {"size": 1}}])
    bench.client.hset(bench.ledger.jobs.key(job_id), "copies", damaged)
    [step] = claim(bench)
    with pytest.raises(RecordUnreadable) as told:
        bench.ledger.copies.begin(step.job_id, step.lease)
    assert bench.ledger.jobs.set_apart(job_id, told.value)
    assert (due(bench, job_id), due(bench, job_id, "due")) == (3600.0, None)


def test_a_repaired_job_is_copied(bench: Bench) -> None:
    job_id = delivered(bench)
    key = bench.ledger.jobs.key(job_id)
    whole = bench.client.hget(key, "copies")
    bench.client.hset(key, "copies", "[null]")
    claim(bench)
    bench.client.hset(key, "copies", whole)
    assert bench.ledger.jobs.put_back(job_id)
    assert (due(bench, job_id), due(bench, job_id, "due")) == (0.0, None)
    assert report(bench, begin(bench), put(1, 2)) == "copied"


def test_a_dropped_record_is_not_copied(bench: Bench) -> None:
    job_id = delivered(bench)
    bench.client.hset(bench.ledger.jobs.key(job_id), "copies", "[null]")
    claim(bench)
    assert bench.ledger.jobs.put_back(job_id, drop=True)
    assert due(bench, job_id) is None


def test_a_damaged_record_is_not_listed(bench: Bench) -> None:
    job_id = delivered(bench)
    for absurd in ("x", "9" * 15):
        bench.client.hset(bench.ledger.jobs.key(job_id), "copy_since", absurd)
        assert bench.ledger.copies.waiting() == []


@pytest.mark.parametrize("key", ["copies", "copies:failed"])
def test_a_key_of_another_type_stops_no_report(bench: Bench, key: str) -> None:
    job_id = delivered(bench)
    begun = begin(bench)
    bench.client.delete(bench.ledger.prefix + key)
    bench.client.set(bench.ledger.prefix + key, "x")
    assert report(bench, begun, {}, GONE) == ("stale" if key == "copies" else "noted")
    assert bench.client.exists(f"{bench.ledger.prefix}damaged:{bench.ledger.prefix}{key}")
    assert bench.ledger.copies.retry(job_id) == 2
    assert due(bench, job_id) == 0.0


def test_a_step_of_the_clock_moves_the_copies(bench: Bench) -> None:
    job_id = copying(bench)
    since = record(bench, job_id).copy_since
    report(bench, begin(bench), {}, AWAY)
    bench.now -= 3600
    assert bench.ledger.queue.claim(bench.quota, copies=8).stepped
    assert (due(bench, job_id), due(bench, job_id, "due")) == (5.0, PATIENCE)
    moved: Any = record(bench, job_id).copy_since
    assert (since - moved).total_seconds() == 3600


def test_long_links_are_kept_whole(bench: Bench) -> None:
    urls = [f"https://a/{number}?{'x' * 100_000}" for number in range(4)]
    job_id = copying(bench, urls)
    assert [copy.url for copy in begin(bench).copies] == urls
    assert due(bench, job_id) == bench.ledger.leases.copy
