"""The inspection in the consumer's loop, which nothing makes stumble."""

from typing import Any

import pytest

from tests.unit.tasks.doubles import Recorder
from worker.consumer import inspect
from worker.inspection import Inspection, Refused, Sound
from worker.letters import LetterBox


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
