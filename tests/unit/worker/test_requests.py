"""The requests that a worker makes of messages, and the messages that it cannot read."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from celery.exceptions import InvalidTaskError
from celery.worker import state as of_worker
from kombu.exceptions import ContentDisallowed, DecodeError

from limner.errors import StoreUnavailable
from limner.ledger.jobs import Jobs
from tests.unit.tasks.doubles import Desk, Recorder
from worker import requests
from worker.requests import StepRequest, strategy
from worker.results import ResultStore
from worker.transport import STEP


def a_request(**headers: Any) -> Any:
    app: Any = SimpleNamespace(conf=SimpleNamespace(timezone=UTC), tasks={})
    task: Any = SimpleNamespace(ignore_result=True, store_errors_even_if_ignored=False)
    message = SimpleNamespace(
        headers={"id": "job-1", "task": "limner.create_task", **headers},
        body="",
        payload=((), {}, {}),
        content_type="application/json",
        content_encoding="utf-8",
        delivery_info={},
        properties={},
    )
    return StepRequest(message, app=app, task=task)


def test_a_message_never_waits_in_a_worker_and_its_time_is_still_known() -> None:
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    request = a_request(eta=later, expires="2020-01-01T00:00:00+00:00")
    assert request.eta is None
    assert not request.revoked()
    assert (request.request_dict["eta"], request.request_dict["expires"][:4]) == (later, "2020")


def test_a_revoked_id_does_not_hold_a_message_back() -> None:
    of_worker.revoked.add("job-1")
    try:
        assert not a_request().revoked()
    finally:
        of_worker.revoked.discard("job-1")


class Post:
    """A message that Celery's strategy cannot handle, and what became of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fault: Exception, **answers: Any) -> None:
        def fail(*_: Any, **__: Any) -> None:
            raise fault

        monkeypatch.setattr(requests, "default", lambda *_: fail)
        self.desk = Desk(jobs=Recorder(Jobs, read=None), results=Recorder(ResultStore, **answers))
        self.acknowledged: list[Any] = []

    def arrives(self, **headers: Any) -> None:
        app, consumer = SimpleNamespace(services=self.desk.services()), SimpleNamespace(connection_errors=())
        message = SimpleNamespace(headers=headers, content_type="application/x-python-serialize")
        receive = strategy(None, app, consumer)
        receive(message, None, lambda *given: self.acknowledged.append(given), None, [])


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (
            ContentDisallowed("untrusted"),
            "is application/x-python-serialize, and limner.create_task takes JSON",
        ),
        (DecodeError("not JSON"), "cannot be read: not JSON"),
        (InvalidTaskError("invalid ETA value 'soon'"), "invalid ETA value"),
        (ValueError("not enough values to unpack"), "not enough values"),
    ],
)
def test_a_message_that_cannot_be_read_is_answered_and_acknowledged(
    monkeypatch: pytest.MonkeyPatch, fault: Exception, said: str
) -> None:
    post = Post(monkeypatch, fault)
    post.arrives(id="job-1")
    assert said in str(post.desk.results.given("refuse")["error"])
    assert len(post.acknowledged) == 1


def test_an_answer_that_cannot_be_stored_leaves_the_message_with_the_broker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    post = Post(monkeypatch, DecodeError("no"), refuse=StoreUnavailable("away"))
    post.arrives(id="job-1")
    assert post.acknowledged == []


@pytest.mark.parametrize("headers", [{"id": "create:job-1:7", STEP: 1}, {}, {"id": 7}])
def test_any_other_message_is_celery_s_to_report(
    monkeypatch: pytest.MonkeyPatch, headers: dict[str, Any]
) -> None:
    post = Post(monkeypatch, DecodeError("no"))
    with pytest.raises(DecodeError):
        post.arrives(**headers)
    assert post.desk.results.calls == []
