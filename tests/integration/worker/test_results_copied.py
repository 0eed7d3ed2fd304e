"""Results with the copies of their images, in result backends that are real."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest
from celery import Celery

from limner._redis import connect
from limner.errors import Cancelled
from limner.ledger import COMPLETE, Grant, Record, Shortfall, Stored
from limner.models import ImageFile, Images
from tests.integration.limner.ledger import speaking
from tests.integration.limner.ledger.conftest import Bench, new
from tests.integration.limner.ledger.stories import record
from worker.continuations import TASK
from worker.polling.policies import LatePolls
from worker.results import ResultStore

TTL: Final = 3600.0
URLS: Final = ("https://a/1.png", "https://a/2.png")
AWAY: Final = Shortfall({"cause": "storage", "message": "away"}, 5.0)
UNSENT, SENT = Cancelled("unsent"), Cancelled("sent", {"charged": "maybe"})


def put(*numbers: int) -> dict[int, Stored]:
    files = {
        number: ImageFile(
            url=f"https://cdn/{number}.png",
            name=f"{number}.png",
            sha256="ab" * 32,
            size=1000,
            content_type="image/png",
            width=64,
            height=48,
        )
        for number in numbers
    }
    return {number: Stored(file, objects=1, bytes=1000) for number, file in files.items()}


@pytest.fixture
def bench(valkey_url: str) -> Iterator[Bench]:
    with connect(valkey_url) as client:
        yield Bench(client)


@pytest.fixture(params=["beside", "elsewhere", "in files"])
def where(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def no_task() -> None:
    """The name that the messages of plain Celery producers have."""


@pytest.fixture
def app(where: str, valkey_url: str, tmp_path: Path) -> Iterator[Celery]:
    backend = f"file://{tmp_path}" if where == "in files" else valkey_url
    app = Celery("backend", backend=backend, set_as_current=False)
    app.conf.update(result_expires=TTL)
    app.task(name=TASK, shared=False)(no_task)
    yield app
    if where != "in files":
        made: Any = app.backend
        made.client.close()


@pytest.fixture
def store(where: str, app: Celery, bench: Bench) -> ResultStore:
    return ResultStore(app, bench.ledger, TTL, LatePolls(), beside_the_ledger=where == "beside")


def made(bench: Bench, *, copy: float, celery: str | None = None) -> str:
    """A job whose images have come, and wait to be copied."""
    job_id = bench.ledger.jobs.submit(replace(new(), celery=celery)).job_id
    grant = bench.ledger.jobs.begin(job_id, bench.claim_one().lease, "token", deadline=900)
    assert isinstance(grant, Grant)
    bench.ledger.jobs.accepted(job_id, grant.attempt, "t1", poll_in=2.0)
    speaking.task_succeeded(bench.ledger, job_id, "t1", URLS, Decimal(7), ttl=TTL, copy=copy)
    return job_id


def begin(bench: Bench) -> Record:
    [step] = [step for step in bench.ledger.queue.claim(bench.quota, copies=8).steps if step.step == "copy"]
    begun = bench.ledger.copies.begin(step.job_id, step.lease)
    assert begun
    return begun


def copy(bench: Bench, store: ResultStore, begun: Record, *numbers: int) -> None:
    """Record what was stored, and store the result if that is still to be done, as the step does."""
    stored = put(*numbers)
    left = COMPLETE if numbers == (1, 2) else AWAY
    result = store.ahead_copied(begun, stored)
    _, changed = bench.ledger.copies.report(
        begun.job_id, begun.copy_lease, stored, left, ttl=TTL, result=result
    )
    if changed:
        store.store(changed, bench.ledger)


def told(app: Celery, job_id: str) -> Images:
    return Images.model_validate(app.AsyncResult(job_id).get(timeout=10))


def is_stored(bench: Bench, job_id: str) -> bool:
    return bench.indexes(job_id) == []


def test_copies_that_end_a_job_are_in_its_result(bench: Bench, store: ResultStore, app: Celery) -> None:
    job_id = made(bench, copy=30.0)
    assert app.AsyncResult(job_id).state == "PENDING"
    copy(bench, store, begin(bench), 1, 2)
    images = told(app, job_id)
    assert (images.copied, [file.name for file in images.files]) == (True, ["1.png", "2.png"])
    assert images == record(bench, job_id).images()
    assert is_stored(bench, job_id)


def test_late_copies_are_seen_in_the_result(bench: Bench, store: ResultStore, app: Celery) -> None:
    job_id = made(bench, copy=0.0)
    store.store(record(bench, job_id), bench.ledger)
    before = told(app, job_id)
    assert (before.copied, before.files, before.urls) == (False, [], list(URLS))
    copy(bench, store, begin(bench), 1, 2)
    after = told(app, job_id)
    assert (after.copied, after.urls, after.finished_at) == (True, before.urls, before.finished_at)
    assert [file.name for file in after.files] == ["1.png", "2.png"]
    assert is_stored(bench, job_id)


def test_a_result_that_is_overtaken_is_stored_once_more(
    bench: Bench, store: ResultStore, app: Celery
) -> None:
    """A worker has read the record before the copies, and stores its result after them."""
    job_id = made(bench, copy=0.0)
    old, begun = record(bench, job_id), begin(bench)
    copy(bench, store, begun, 1, 2)
    store.store(old, bench.ledger)
    assert not is_stored(bench, job_id)
    store.store(record(bench, job_id), bench.ledger)
    assert told(app, job_id).copied
    assert is_stored(bench, job_id)


def test_the_links_of_a_job_are_told_once_and_its_files_later(
    bench: Bench, store: ResultStore, app: Celery
) -> None:
    job_id = made(bench, copy=0.0, celery='{"chain":[],"root_id":"r"}')
    store.store(record(bench, job_id), bench.ledger)
    assert record(bench, job_id).continued
    copy(bench, store, begin(bench), 1, 2)
    assert told(app, job_id).copied


def test_a_worker_that_died_after_it_told_the_links_costs_no_files(
    bench: Bench, store: ResultStore, app: Celery, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = made(bench, copy=0.0, celery='{"chain":[],"root_id":"r"}')
    with monkeypatch.context() as patch:
        patch.setattr(type(bench.ledger.jobs), "stored", lambda *_, **__: False)
        store.store(record(bench, job_id), bench.ledger)
    assert not record(bench, job_id).continued
    copy(bench, store, begin(bench), 1, 2)
    assert told(app, job_id).copied


def test_a_job_whose_result_is_ignored_has_none_after_its_copies(
    bench: Bench, store: ResultStore, app: Celery
) -> None:
    job_id = made(bench, copy=0.0, celery='{"ignore_result":true}')
    store.store(record(bench, job_id), bench.ledger)
    copy(bench, store, begin(bench), 1, 2)
    assert app.AsyncResult(job_id).state == "PENDING"
    assert is_stored(bench, job_id)


def test_the_copies_of_a_cancelled_job_leave_its_error(bench: Bench, store: ResultStore, app: Celery) -> None:
    job_id = made(bench, copy=30.0)
    bench.ledger.jobs.cancel(job_id, UNSENT, SENT)
    copy(bench, store, begin(bench), 1, 2)
    store.store(record(bench, job_id), bench.ledger)
    assert app.AsyncResult(job_id).state == "FAILURE"
    with pytest.raises(Cancelled):
        app.AsyncResult(job_id).get(timeout=10)


@pytest.mark.parametrize("where", ["beside", "elsewhere"], indirect=True)
def test_a_producer_that_waits_gets_the_files(bench: Bench, store: ResultStore, app: Celery) -> None:
    job_id = made(bench, copy=30.0)
    got: list[Images] = []
    waits = threading.Event()

    def wait() -> None:
        result: Any = app.AsyncResult(job_id)
        result.backend.result_consumer.start(job_id)
        waits.set()
        got.append(Images.model_validate(result.get(timeout=20)))

    thread = threading.Thread(target=wait)
    thread.start()
    assert waits.wait(20)
    copy(bench, store, begin(bench), 1, 2)
    thread.join(20)
    assert [images.copied for images in got] == [True]


@pytest.mark.parametrize("where", ["beside"], indirect=True)
def test_a_result_is_made_beforehand_only_if_it_ends_the_job(bench: Bench, store: ResultStore) -> None:
    job_id = made(bench, copy=30.0)
    begun = begin(bench)
    assert store.ahead_copied(begun, put(1)) is None
    assert store.ahead_copied(begun, put(1, 2))
    assert store.ahead_copied(replace(begun, celery={"chain": []}), put(1, 2)) is None
    copy(bench, store, begun, 2)
    bench.now += 5.0
    begun = begin(bench)
    assert store.ahead_copied(begun, put(1))
    copy(bench, store, begun, 1)
    assert store.ahead_copied(record(bench, job_id), {}) is None
