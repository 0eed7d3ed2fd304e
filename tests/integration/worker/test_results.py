"""Refusals of messages, beside a ledger and a result backend that are real."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery

from limner._redis import connect
from limner.errors import InvalidRequest, StoreUnavailable
from limner.ledger import Ledger
from limner.models import TextToImage
from limner.submission import prepare
from sandbox.local.valkey import EmbeddedValkey
from worker.polling.policies import LatePolls
from worker.results import ResultStore

REFUSAL = InvalidRequest("prompt: is missing")


@pytest.fixture
def app(valkey_url: str) -> Iterator[Celery]:
    app = Celery("backend", backend=valkey_url, set_as_current=False)
    app.conf.result_expires = 60
    yield app
    backend: Any = app.backend
    backend.client.close()


@pytest.fixture
def ledger(valkey_url: str) -> Iterator[Ledger]:
    with connect(valkey_url) as client:
        yield Ledger(client)


@pytest.fixture(params=[True, False], ids=["beside", "elsewhere"])
def store(app: Celery, ledger: Ledger, request: pytest.FixtureRequest) -> ResultStore:
    return ResultStore(app, ledger, 60.0, LatePolls(), beside_the_ledger=request.param)


def test_a_refusal_is_the_result_of_the_message(store: ResultStore, app: Celery) -> None:
    assert store.refuse("job-1", REFUSAL)
    with pytest.raises(InvalidRequest, match="prompt: is missing"):
        app.AsyncResult("job-1").get(timeout=10)


def test_a_producer_that_waits_is_woken_up(store: ResultStore, app: Celery) -> None:
    told: list[BaseException] = []
    waits = threading.Event()

    def wait() -> None:
        result: Any = app.AsyncResult("job-1")
        result.backend.result_consumer.start("job-1")
        waits.set()
        try:
            result.get(timeout=20)
        except InvalidRequest as error:
            told.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    assert waits.wait(20)
    store.refuse("job-1", REFUSAL)
    thread.join(20)
    assert len(told) == 1


def test_a_refusal_expires_like_a_result(store: ResultStore, app: Celery, ledger: Ledger) -> None:
    store.refuse("job-1", REFUSAL)
    assert 0 < ledger.store.redis.ttl("celery-task-meta-job-1") <= 60


def test_a_job_that_waits_for_its_result_is_not_refused(
    store: ResultStore, app: Celery, ledger: Ledger
) -> None:
    ledger.jobs.submit(prepare(TextToImage(prompt="a fox"), job_id="job-1"))
    assert not store.refuse("job-1", REFUSAL)
    assert app.AsyncResult("job-1").state == "PENDING"


@pytest.mark.parametrize("state", ["SUCCESS", "FAILURE", "STARTED"])
def test_a_stored_result_is_not_replaced(store: ResultStore, app: Celery, state: str) -> None:
    result = KeyError("another") if state == "FAILURE" else {"urls": ["https://a"]}
    app.backend.store_result("job-1", result, state)
    assert store.refuse("job-1", REFUSAL)
    assert app.AsyncResult("job-1").state == state
    assert "missing" not in str(app.AsyncResult("job-1").result)


@pytest.mark.parametrize("beside", [True, False])
def test_a_refusal_waits_for_a_redis_that_is_away(app: Celery, beside: bool) -> None:
    with EmbeddedValkey() as valkey:
        gone = valkey.url
    app = Celery("backend", backend=gone, set_as_current=False)
    app.conf.result_backend_transport_options = {"retry_policy": {"max_retries": 0}}
    with connect(gone) as client:
        store = ResultStore(app, Ledger(client), 60.0, LatePolls(), beside_the_ledger=beside)
        with pytest.raises(StoreUnavailable):
            store.refuse("job-1", REFUSAL)
