"""The events of a step's request."""

from types import SimpleNamespace
from typing import Any

import pytest
from celery.worker import request

from config import Settings
from worker.request import Request

KEY = "sk-0123456789abcdef"


def test_an_event_of_a_failure_has_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: dict[str, Any] = {}
    monkeypatch.setattr(request.Request, "send_event", lambda _self, _type, **fields: sent.update(fields))
    made: Any = Request.__new__(Request)
    made._app = SimpleNamespace(settings=Settings(redis_url="redis://127.0.0.1:1/0", api_key=KEY))
    made.send_event("task-failed", exception=f"KeyError('{KEY}')", traceback=f"line 7: {KEY}", runtime=0.5)
    assert sent == {"exception": "KeyError('***')", "traceback": "line 7: ***", "runtime": 0.5}
