"""The inspection in the consumer's loop, which nothing makes stumble."""

import json
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from kombu.message import Message

from tests.unit.tasks.doubles import Recorder
from worker.consumer import guarded, inspect
from worker.dispatcher import TASKS
from worker.inspection import Inspection, Refused, Sound
from worker.letters import LetterBox
from worker.marks import Marks


def inspected(answer: Any) -> tuple[Sound | None, Recorder]:
    inspection, box = Recorder(Inspection, __call__=answer), Recorder(LetterBox)

    def call(item: bytes, queue: str) -> Any:
        return inspection.__getattr__("__call__")(item, queue)

    return inspect(call, box, b"item", "limner"), box  # type: ignore[arg-type]


def test_a_message_that_passes_goes_on() -> None:
    sound = Sound({"headers": {}}, b"", [])
    assert inspected(sound)[0] is sound
    assert inspected(sound)[1].calls == []


def test_a_refused_message_is_set_aside() -> None:
    found, box = inspected(Refused("forged: no mark"))
    assert found is None
    assert box.given("add") == {"why": "forged: no mark", "queue": "limner", "item": b"item"}


def test_a_message_whose_producer_is_told_is_set_aside_and_goes_on() -> None:
    sound = Sound({"headers": {}}, b"", [], "header eta: must be a time")
    found, box = inspected(sound)
    assert found is sound
    assert box.given("add")["why"] == "header eta: must be a time"


def test_a_bug_of_the_inspection_costs_one_message(caplog: pytest.LogCaptureFixture) -> None:
    found, box = inspected(TypeError("a bug"))
    assert found is None
    assert box.given("add")["why"] == "unreadable: TypeError"
    assert "a bug" in caplog.text


# Brokers other than Redis


def handled(task: str) -> tuple[list[Any], Any, Any]:
    """The messages that a consumer of another broker handles."""
    marks = Marks()
    marks.renew(lambda: "a key")
    letters: Any = Recorder(LetterBox)
    take = partial(inspect, Inspection(marks, frozenset(TASKS.values())), letters)
    body = json.dumps([[], {"prompt": "a fox"}, {}])
    headers: Any = {"task": task, "id": "job-1", "ignore_result": False}
    message: Any = Message(
        body=body,
        content_type="application/json",
        headers=headers,
        delivery_info={"routing_key": "limner"},
        channel=SimpleNamespace(basic_ack=lambda *_, **__: None, no_ack_consumers=None),
    )
    seen: list[Any] = []
    guarded(seen.append, take)(message)
    return seen, letters, message


def test_a_message_of_another_broker_is_inspected_before_it_is_handled() -> None:
    [seen], _, _ = handled("limner.create_task")
    assert seen.headers["ignore_result"] is False
    assert seen.payload == json.loads(seen.body) == [[], {"prompt": "a fox"}, {}]


def test_a_forged_step_of_another_broker_is_acknowledged_and_set_aside() -> None:
    seen, letters, message = handled("limner.recover")
    assert seen == []
    assert message.acknowledged
    assert letters.given("add")["why"].startswith("forged")
