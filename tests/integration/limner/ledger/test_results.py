"""Results that the script stores at a job's end, if Celery's backend is the ledger's own database."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from typing import Any, Final

import pytest
from celery import Celery
from celery.result import AsyncResult

from limner import Images
from limner.errors import DeadlineExceeded
from limner.ledger import Grant, Quota
from limner.ledger.durations import DurationSample, kind_of
from limner.ledger.messages import moment
from limner.ledger.record import Record, TaskEnd
from limner.ledger.scripts.reports import BackendResult
from limner.models import TextToImage
from limner.status import JobState
from limner.submission import prepare
from tests.conftest import eventually
from tests.integration.limner.ledger import speaking
from tests.integration.limner.ledger.conftest import START, Bench
from tests.integration.limner.ledger.stories import NO_ANSWER, REFUSED, SENT, UNSENT, record
from worker.polling.policies import LatePolls
from worker.results import ResultStore

TTL: Final = 3600.0
FOLLOW: Final = 5.0
"""The first pause of ``LatePolls`` for a young task."""
URLS: Final = ["https://files/a.png", "https://files/b.png?x=1&y=%20"]
WIDE: Final = Quota(100_000, 10.0, 100_000, 1.0, 100_000)
REQUEST: Final = TextToImage(prompt="a fox", rendering_speed="TURBO", num_images=2, seed=7)


@pytest.fixture
def app(valkey_url: str) -> Iterator[Celery]:
    app = Celery("backend", backend=valkey_url, set_as_current=False)
    app.conf.update(result_expires=TTL)
    yield app
    backend: Any = app.backend
    backend.client.close()


@pytest.fixture
def store(app: Celery, bench: Bench) -> ResultStore:
    return ResultStore(app, bench.ledger, TTL, LatePolls(), beside_the_ledger=True)


def generating(bench: Bench, request: TextToImage = REQUEST, **options: Any) -> Record:
    job_id = bench.ledger.jobs.submit(prepare(request, **options)).job_id
    [step] = [step for step in bench.claim(WIDE).steps if step.job_id == job_id]
    grant = bench.ledger.jobs.begin(job_id, step.lease, f"token {job_id} {step.lease}", deadline=900)
    assert isinstance(grant, Grant)
    bench.now += 0.4
    bench.ledger.jobs.accepted(job_id, grant.attempt, f"task of {job_id}", poll_in=600.0)
    return record(bench, job_id)


def ahead(bench: Bench, store: ResultStore, job: Record, task_id: str | None = None) -> BackendResult:
    now = datetime.fromtimestamp(bench.now, UTC)
    found = store.ahead(job, task_id or job.task_id or "", URLS, Decimal("7.5"), now)
    assert found
    return found


def succeed(
    bench: Bench, store: ResultStore, job: Record, task_id: str | None = None, *, later: float = 0.0
) -> TaskEnd:
    """Report that the task has its images, with its result, ``later`` seconds after that was made."""
    result = ahead(bench, store, job, task_id)
    bench.now += later
    return speaking.task_succeeded(
        bench.ledger, job.job_id, task_id or job.task_id or "", URLS, Decimal("7.5"), ttl=900, result=result
    )


def key(job_id: str) -> str:
    return f"celery-task-meta-{job_id}"


def meta(bench: Bench, job_id: str) -> dict[str, Any]:
    text = bench.client.get(key(job_id))
    assert text is not None
    told: dict[str, Any] = json.loads(text)
    return told


# Stored with the end


def test_a_plain_celery_app_gets_the_result_of_a_job_that_has_just_ended(
    bench: Bench, store: ResultStore, app: Celery
) -> None:
    job = generating(bench, metadata={"order": 7})
    succeed(bench, store, job, later=0.123)
    told = Images.model_validate(AsyncResult(job.job_id, app=app).get(timeout=5))
    assert told == record(bench, job.job_id).images()
    assert told.urls == URLS
    assert told.credits == Decimal("7.5")
    assert told.parameters == REQUEST
    assert told.metadata == {"order": 7}
    assert told.finished_at == moment(round(bench.now * 1000))


def test_the_result_is_what_the_store_writes(bench: Bench, store: ResultStore) -> None:
    job = generating(bench, metadata={"order": 7})
    succeed(bench, store, job, later=0.123)
    by_the_script = meta(bench, job.job_id)
    bench.client.delete(key(job.job_id))
    store.store(record(bench, job.job_id), bench.ledger)
    by_the_store = meta(bench, job.job_id)
    for told in (by_the_script, by_the_store):
        assert datetime.fromisoformat(told.pop("date_done"))
    assert by_the_script == by_the_store


def test_the_result_has_the_configured_time_to_live(bench: Bench, store: ResultStore) -> None:
    job = generating(bench)
    succeed(bench, store, job)
    assert TTL - 5 < bench.client.ttl(key(job.job_id)) <= TTL


def test_a_fraction_of_a_second_in_the_time_to_live_is_rounded_up(bench: Bench, app: Celery) -> None:
    job = generating(bench)
    store = ResultStore(app, bench.ledger, 0.2, LatePolls(), beside_the_ledger=True)
    assert ahead(bench, store, job).to_json()["expires"] == 1


def test_the_job_counts_as_stored_and_is_no_longer_due(bench: Bench, store: ResultStore) -> None:
    job = generating(bench)
    end = succeed(bench, store, job)
    assert (end.what, end.record) == ("ended", None)
    assert bench.state(job.job_id) == "succeeded"
    assert bench.client.hget(bench.ledger.jobs.key(job.job_id), "stored") == "1"
    assert bench.indexes(job.job_id) == []
    bench.now += 3600
    assert bench.claim(WIDE).steps == []


def test_the_record_and_the_log_expire(bench: Bench, store: ResultStore) -> None:
    job = generating(bench)
    succeed(bench, store, job)
    for name in ("job:", "log:"):
        assert TTL - 5 < bench.client.ttl(f"{bench.ledger.prefix}{name}{job.job_id}") <= TTL


def test_the_record_outlives_a_short_lived_result(bench: Bench, app: Celery) -> None:
    job = generating(bench)
    succeed(bench, ResultStore(app, bench.ledger, 60.0, LatePolls(), beside_the_ledger=True), job)
    assert bench.client.ttl(key(job.job_id)) <= 60
    assert bench.client.ttl(bench.ledger.jobs.key(job.job_id)) > 890


def test_the_idempotency_key_has_its_own_time_to_live(bench: Bench, store: ResultStore) -> None:
    job = generating(bench, idempotency_key="order 7", idempotency_seconds=2 * TTL)
    succeed(bench, store, job)
    [name] = bench.client.keys(bench.ledger.prefix + "key:*")
    assert bench.client.ttl(name) > TTL
    assert bench.client.ttl(bench.ledger.jobs.key(job.job_id)) > TTL


def test_the_duration_is_learned_with_the_end(bench: Bench, store: ResultStore) -> None:
    job = generating(bench)
    kind = kind_of(REQUEST)
    before = bench.ledger.durations.of(kind)
    speaking.task_succeeded(
        bench.ledger,
        job.job_id,
        str(job.task_id),
        URLS,
        None,
        ttl=900,
        sample=DurationSample.of(kind, 40.0),
        result=ahead(bench, store, job),
    )
    after = bench.ledger.durations.of(kind)
    assert before.jobs == 0
    assert after.jobs == pytest.approx(1.0)
    assert after.level > before.level


def test_a_repeated_report_finds_the_end_and_keeps_its_time(bench: Bench, store: ResultStore) -> None:
    job = generating(bench)
    succeed(bench, store, job)
    first = meta(bench, job.job_id)
    bench.now += 3.0
    again = succeed(bench, store, job)
    assert again.what == "ended"
    assert again.record
    assert again.record.images().finished_at == record(bench, job.job_id).finished_at
    assert meta(bench, job.job_id) == first
    assert bench.indexes(job.job_id) == []


# Callers that wait for it


def test_a_caller_that_waits_for_the_result_is_woken(bench: Bench, store: ResultStore, app: Celery) -> None:
    job = generating(bench)
    got: list[Any] = []
    # Celery would poll as well; only what is published comes within this interval.
    waiting = threading.Thread(
        target=lambda: got.append(AsyncResult(job.job_id, app=app).get(timeout=30, interval=30))
    )
    waiting.start()
    eventually(lambda: dict(bench.client.pubsub_numsub(key(job.job_id)))[key(job.job_id)] == 1)
    succeed(bench, store, job)
    waiting.join(timeout=15)
    assert [told["job_id"] for told in got] == [job.job_id]


def test_the_result_is_stored_before_the_end_is_published(bench: Bench, store: ResultStore) -> None:
    job = generating(bench)
    channels = [key(job.job_id), bench.ledger.journal.channel(job.job_id)]
    with bench.client.pubsub() as listener:
        listener.subscribe(*channels)
        assert [listener.get_message(timeout=10)["type"] for _ in channels] == ["subscribe"] * 2
        succeed(bench, store, job)
        told = [listener.get_message(timeout=10) for _ in channels]
    assert [message["channel"] for message in told] == channels
    assert json.loads(told[0]["data"]) == meta(bench, job.job_id)
    assert told[1]["data"] == "succeeded"


# Results that the script does not store


def test_a_result_without_the_last_attempt_is_left_to_the_store(bench: Bench, store: ResultStore) -> None:
    job = generating(bench)
    old = ahead(bench, store, job)
    # The poll takes its time. Meanwhile the task is given up, and the job is sent again.
    speaking.task_lost(
        bench.ledger, job.job_id, str(job.task_id), {"cause": "no_record"}, grace=60.0, ttl=900
    )
    assert bench.state(job.job_id) == "in_doubt"
    assert bench.ledger.jobs.resubmit(job.job_id, attempt=1)
    bench.now += 30.0
    [step] = bench.claim(WIDE).steps
    assert isinstance(bench.ledger.jobs.begin(job.job_id, step.lease, "second", deadline=900), Grant)
    end = speaking.task_succeeded(
        bench.ledger, job.job_id, str(job.task_id), URLS, Decimal("7.5"), ttl=900, result=old
    )
    assert end.what == "ended"
    assert bench.client.get(key(job.job_id)) is None
    assert end.record
    assert bench.client.hget(bench.ledger.jobs.key(job.job_id), "stored") is None
    assert bench.indexes(job.job_id) == ["due"]
    store.store(end.record, bench.ledger)
    sent_at = datetime.fromisoformat(meta(bench, job.job_id)["result"]["sent_at"])
    assert sent_at == record(bench, job.job_id).sent_at == moment(round(bench.now * 1000))


def test_an_end_without_a_prepared_result_is_left_to_the_store(bench: Bench) -> None:
    job = generating(bench)
    end = speaking.task_succeeded(bench.ledger, job.job_id, str(job.task_id), URLS, None, ttl=900)
    assert end.record
    assert bench.client.get(key(job.job_id)) is None
    assert bench.indexes(job.job_id) == ["due"]


def test_no_result_is_prepared_for_a_backend_elsewhere(bench: Bench, app: Celery) -> None:
    job = generating(bench)
    store = ResultStore(app, bench.ledger, TTL, LatePolls())
    assert store.ahead(job, str(job.task_id), URLS, None, datetime.now(UTC)) is None


def test_a_second_paid_task_does_not_replace_the_result(bench: Bench, store: ResultStore) -> None:
    job, first, second = two_tasks(bench)
    succeed(bench, store, job, first)
    told = meta(bench, job.job_id)
    assert succeed(bench, store, record(bench, job.job_id), second).what == "noted"
    assert meta(bench, job.job_id) == told


def test_a_cancelled_job_keeps_its_error(bench: Bench, store: ResultStore) -> None:
    job = generating(bench)
    bench.ledger.jobs.cancel(job.job_id, UNSENT, SENT)
    store.store(record(bench, job.job_id), bench.ledger)
    told = meta(bench, job.job_id)
    assert told["status"] == "FAILURE"
    assert succeed(bench, store, job).what == "noted"
    assert meta(bench, job.job_id) == told


def test_a_late_result_replaces_the_error_of_a_failed_job(bench: Bench, store: ResultStore) -> None:
    job = generating(bench)
    failed = bench.ledger.jobs.fail(job.job_id, DeadlineExceeded("too long"), [JobState.GENERATING])
    assert failed
    store.store(failed, bench.ledger)
    assert meta(bench, job.job_id)["status"] == "FAILURE"
    end = succeed(bench, store, record(bench, job.job_id), later=60.0)
    assert (end.what, end.record) == ("late", None)
    told = meta(bench, job.job_id)
    assert told["status"] == "SUCCESS"
    assert Images.model_validate(told["result"]) == record(bench, job.job_id).images()
    assert bench.indexes(job.job_id) == []
    assert 0 < bench.client.ttl(bench.ledger.jobs.key(job.job_id)) <= TTL


# Another task is still open


def two_tasks(bench: Bench) -> tuple[Record, str, str]:
    """A job in doubt that a person sent again, with a task of each attempt."""
    job_id = bench.ledger.jobs.submit(prepare(REQUEST)).job_id
    [step] = bench.claim(WIDE).steps
    bench.ledger.jobs.begin(job_id, step.lease, "token one", deadline=900)
    bench.ledger.jobs.doubt(job_id, 1, NO_ANSWER, grace=600.0)
    assert bench.ledger.jobs.resubmit(job_id, attempt=1)
    [step] = bench.claim(WIDE).steps
    bench.ledger.jobs.begin(job_id, step.lease, "token two", deadline=900)
    bench.ledger.jobs.accepted(job_id, 2, "second", poll_in=600.0)
    bench.ledger.jobs.called_back(job_id, "token one", "first")
    return record(bench, job_id), "second", "first"


def test_a_job_with_another_open_task_is_stored_and_polled_after_a_while(
    bench: Bench, store: ResultStore
) -> None:
    job, first, second = two_tasks(bench)
    end = succeed(bench, store, job, first)
    assert (end.what, end.record) == ("ended", None)
    assert meta(bench, job.job_id)["result"]["task_id"] == first
    assert bench.client.hget(bench.ledger.jobs.key(job.job_id), "stored") == "1"
    assert bench.client.ttl(bench.ledger.jobs.key(job.job_id)) == -1
    bench.now += FOLLOW - 0.01
    assert bench.claim(WIDE).steps == []
    bench.now += 0.01
    [step] = bench.claim(WIDE).steps
    assert step.step == "poll"
    polled_at = speaking.begin_poll(bench.ledger, job.job_id, step.lease)
    assert polled_at
    assert polled_at.open_task
    assert polled_at.open_task.task_id == second


def test_the_record_may_expire_once_the_other_task_has_ended(bench: Bench, store: ResultStore) -> None:
    job, first, second = two_tasks(bench)
    succeed(bench, store, job, first)
    bench.now += FOLLOW
    bench.claim(WIDE)
    speaking.task_succeeded(bench.ledger, job.job_id, second, ["https://c"], Decimal(7), ttl=900)
    assert 0 < bench.client.ttl(bench.ledger.jobs.key(job.job_id)) <= 900
    assert bench.indexes(job.job_id) == []


def test_a_refused_attempt_in_between_does_not_change_the_result(bench: Bench, store: ResultStore) -> None:
    job_id = bench.ledger.jobs.submit(prepare(REQUEST)).job_id
    [step] = bench.claim(WIDE).steps
    bench.ledger.jobs.begin(job_id, step.lease, "one", deadline=900)
    bench.ledger.jobs.retry(job_id, 1, REFUSED, delay=1.0)
    bench.now += 1.0
    [step] = bench.claim(WIDE).steps
    bench.ledger.jobs.begin(job_id, step.lease, "two", deadline=900)
    bench.ledger.jobs.accepted(job_id, 2, "task", poll_in=600.0)
    job = record(bench, job_id)
    succeed(bench, store, job, later=2.0)
    assert Images.model_validate(meta(bench, job_id)["result"]) == record(bench, job_id).images()


# Any text

ODD: Final = {
    "quotes": '"double" \'single\' `back` \\ backslash \\" \\u0041',
    "at signs": "@ @@ @0123456789abcdef0123456789abcdef@ a@b",
    "emoji": "a fox 🦊 of the 👩‍👩‍👧‍👦 family, é\u0301 ﷺ 漢字",
    "line separators": "one\u2028two\u2029three\u0085four\r\nfive\x0bsix\tseven",
    "controls": "nul \u0000 escape \u001b delete \u007f",
    "markup": "</script><!-- {{ }} %s %d %% {0} $1 ]]> --[[ ]]",
    "beyond": "\U0010ffff \ufffe \uffff \ufeff",
}


@pytest.mark.parametrize("text", ODD.values(), ids=list(ODD))
def test_any_text_survives(bench: Bench, store: ResultStore, app: Celery, text: str) -> None:
    request = TextToImage(prompt=text, negative_prompt=text)
    metadata = {text: text, "list": [text, {"deep": [text]}]}
    job = generating(bench, request, metadata=metadata)
    succeed(bench, store, job)
    told = Images.model_validate(AsyncResult(job.job_id, app=app).get(timeout=5))
    assert told.parameters == request
    assert told.metadata == metadata
    assert told == record(bench, job.job_id).images()


def test_numbers_in_the_metadata_are_unchanged(bench: Bench, store: ResultStore) -> None:
    metadata = {"big": 2**63 + 1, "tiny": 5e-324, "third": 1 / 3, "minus": -0.0, "no": False, "none": None}
    job = generating(bench, metadata=metadata)
    succeed(bench, store, job)
    assert repr(meta(bench, job.job_id)["result"]["metadata"]) == repr(metadata)


# The time of the end


def ms(*parts: int, millisecond: int = 0) -> int:
    return round(datetime(*parts, tzinfo=UTC).timestamp()) * 1000 + millisecond  # type: ignore[arg-type,misc]


TIMES: Final = {
    "whole second": ms(2027, 1, 15, 8),
    "7 ms": ms(2027, 1, 15, 8, millisecond=7),
    "70 ms": ms(2027, 1, 15, 8, millisecond=70),
    "999 ms": ms(2027, 1, 15, 8, millisecond=999),
    "leap day": ms(2028, 2, 29, 12, 34, 56, millisecond=789),
    "the end of a leap day": ms(2028, 2, 29, 23, 59, 59, millisecond=999),
    "after a leap day": ms(2028, 3, 1),
    "no leap day": ms(2027, 2, 28, 23, 59, 59, millisecond=1),
    "after no leap day": ms(2027, 3, 1),
    "a leap year's last day": ms(2028, 12, 31, 23, 59, 59, millisecond=999),
    "a year's last day": ms(2026, 12, 31, 23, 59, 59, millisecond=999),
    "a year's first moment": ms(2027, 1, 1),
    "the last millennium": ms(1999, 12, 31, 23, 59, 59, millisecond=999),
    "a leap day of a leap century": ms(2000, 2, 29, 1, 2, 3),
    "before the day that 2100 lacks": ms(2100, 2, 28, 23, 59, 59, millisecond=999),
    "after the day that 2100 lacks": ms(2100, 3, 1),
    "the first second": 1000,
    "beyond 32 bits": 2**31 * 1000 + 1,
}


def end_at(bench: Bench, store: ResultStore, milliseconds: int) -> tuple[str, str]:
    """The time of an end as the script writes it, and as pydantic writes that of the record."""
    bench.now = START
    job = generating(bench)
    result = ahead(bench, store, job)
    bench.now = milliseconds / 1000
    speaking.task_succeeded(bench.ledger, job.job_id, str(job.task_id), URLS, None, ttl=900, result=result)
    ended = record(bench, job.job_id)
    assert ended.finished_at == moment(milliseconds)
    return meta(bench, job.job_id)["result"]["finished_at"], ended.images().model_dump(mode="json")[
        "finished_at"
    ]


@pytest.mark.parametrize("milliseconds", TIMES.values(), ids=list(TIMES))
def test_a_time_is_written_as_pydantic_writes_it(bench: Bench, store: ResultStore, milliseconds: int) -> None:
    by_the_script, by_pydantic = end_at(bench, store, milliseconds)
    assert by_the_script == by_pydantic


def test_any_time_is_written_as_pydantic_writes_it(bench: Bench, store: ResultStore) -> None:
    random = Random(28)
    for _ in range(300):
        by_the_script, by_pydantic = end_at(bench, store, random.randrange(1000, ms(2150, 1, 1)))
        assert by_the_script == by_pydantic
