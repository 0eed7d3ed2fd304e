"""The shell that all steps share."""

from types import SimpleNamespace
from typing import Any

import pytest

from limner.errors import NotDurable, RecordUnreadable, StoreUnavailable
from tasks.step import shell

TASK = SimpleNamespace(app=SimpleNamespace(services="the services"), request=SimpleNamespace(id="job-1"))


def test_a_step_gets_its_app_s_services_the_message_and_the_arguments() -> None:
    got: list[Any] = []

    def run(services: Any, message: Any, /, *arguments: Any, **parameters: Any) -> None:
        got.extend([services, message.id, arguments, parameters])

    shell(run)(TASK, 7, services="a parameter of a message", task="another")
    assert got == ["the services", "job-1", (7,), {"services": "a parameter of a message", "task": "another"}]


@pytest.mark.parametrize("error", [StoreUnavailable, NotDurable, RecordUnreadable])
def test_a_step_that_redis_cuts_short_is_left_to_its_lease(
    error: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    def run(*_: Any) -> None:
        raise error("away")

    shell(run)(TASK)
    assert "job job-1 waits for its lease to be over: away" in caplog.text


def test_a_bug_is_celery_s_to_report() -> None:
    def run(*_: Any) -> None:
        raise TypeError("a bug")

    with pytest.raises(TypeError, match="a bug"):
        shell(run)(TASK)
