"""The requests that a worker makes of messages."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from celery.worker import request
from celery.worker import state as of_worker

from config import Settings
from worker.request import Request

KEY = "sk-0123456789abcdef"


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
    return Request(message, app=app, task=task)


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


def test_an_event_of_a_failure_has_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: dict[str, Any] = {}
    monkeypatch.setattr(request.Request, "send_event", lambda _self, _type, **fields: sent.update(fields))
    made: Any = Request.__new__(Request)
    made._app = SimpleNamespace(settings=Settings(redis_url="redis://127.0.0.1:1/0", api_key=KEY))
    made.send_event("task-failed", exception=f"KeyError('{KEY}')", traceback=f"line 7: {KEY}", runtime=0.5)
    assert sent == {"exception": "KeyError('***')", "traceback": "line 7: ***", "runtime": 0.5}
