"""Links of a message, on the record and at the job's end. The result backend is a folder."""

import json
from pathlib import Path
from typing import Any

import pytest
from celery import states
from celery.app.task import Context
from kombu.exceptions import OperationalError
from redis.exceptions import ReadOnlyError, ResponseError

from config import Settings
from limner.errors import GenerationFailed, InvalidRequest
from worker.application import Application, build_app
from worker.continuations import MAX_BYTES, asked_of, conclude, on_record, take_from

IMAGES = {"job_id": "job-1", "urls": ["https://a"]}


def signature(name: str = "shop.publish", **more: Any) -> dict[str, Any]:
    return {"task": name, "args": [], "kwargs": {}, "options": {}, "subtask_type": None, **more}


def stored(asked: dict[str, Any]) -> dict[str, Any]:
    text = on_record(asked)
    assert text
    found: dict[str, Any] = json.loads(text)
    return found


# On the record


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"ignore_result": False, "group": "g", "root_id": "r", "parent_id": "p"},
        {"callbacks": [], "errbacks": None, "chain": [], "chord": None},
    ],
)
def test_a_message_that_asks_for_nothing_leaves_nothing_on_the_record(request_: dict[str, Any]) -> None:
    assert asked_of(Context(id="job-1", **request_)) is None
    assert on_record(None) is None


@pytest.mark.parametrize("name", ["callbacks", "errbacks", "chain"])
def test_what_is_asked_for_is_kept_with_what_celery_needs_for_it(name: str) -> None:
    request = Context(
        id="job-1", group="g", group_index=2, root_id="r", hostname="w", **{name: [signature()]}
    )
    assert asked_of(request) == {name: [signature()], "group": "g", "group_index": 2, "root_id": "r"}


def test_a_task_whose_request_was_taken_does_nothing_at_its_own_end() -> None:
    request: Any = Context(id="job-1", callbacks=[signature()], chord=signature(), ignore_result=False)
    assert take_from(request) == {"callbacks": [signature()], "chord": signature()}
    assert asked_of(request) == {"ignore_result": True}


def test_linked_tasks_get_ids_once() -> None:
    first = stored({"callbacks": [signature()], "errbacks": [signature(options={"task_id": "known"})]})
    assert first["callbacks"][0]["options"]["task_id"]
    assert first["errbacks"][0]["options"] == {"task_id": "known"}
    assert stored(first) == first


def test_the_tasks_inside_a_linked_canvas_get_ids_too() -> None:
    body = signature("shop.gather", options={"link": [signature()]})
    chord = signature(
        "celery.chord", subtask_type="chord", kwargs={"header": [signature(), signature()], "body": body}
    )
    group = signature("celery.group", subtask_type="group", kwargs={"tasks": [signature(), chord]})
    text = on_record({"callbacks": [group]})
    assert text
    assert text.count('"task_id"') == 7


def test_the_arguments_of_a_linked_task_are_left_alone() -> None:
    data = {"tasks": [signature()], "body": signature()}
    assert stored({"callbacks": [signature(kwargs=data)]})["callbacks"][0]["kwargs"] == data


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({"callbacks": ["shop.publish"]}, "link: "),
        ({"errbacks": [{"name": "shop.publish"}]}, "link_error: "),
        ({"chain": [7]}, "chain: "),
        ({"chord": [None]}, "chord: "),
        ({"callbacks": [signature(options=[1])]}, "link: "),
        ({"callbacks": [signature(args=["x" * MAX_BYTES])]}, f"at most {MAX_BYTES} bytes"),
        ({"callbacks": [signature(args=[{1, 2}])]}, "cannot be written as JSON"),
    ],
)
def test_what_cannot_be_kept_is_named(asked: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidRequest, match=named):
        on_record(asked)


def test_what_is_nested_too_deeply_is_refused() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(InvalidRequest, match="cannot be written as JSON"):
        on_record({"callbacks": [signature(args=deep)]})


# At the end


class Sent:
    """The messages that an app would send, and its stored results."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception | None = None) -> None:
        self.app: Application = build_app(Settings(redis_url="redis://127.0.0.1:1/0"))
        self.app.loader.import_default_modules()
        self.app.conf.update(result_backend=f"file://{folder}")
        self.messages: list[tuple[str, Any, dict[str, Any]]] = []

        def send(_producer: Any, name: str, message: Any, **options: Any) -> None:
            if fault:
                raise fault
            args, _, embed = message.body
            self.messages.append((name, args, {**message.headers, **embed, "queue": options["queue"].name}))

        monkeypatch.setattr(self.app.amqp, "send_task_message", send)

    def meta(self, task_id: str = "job-1") -> dict[str, Any]:
        """The result backend's entry of a task."""
        found: dict[str, Any] = self.app.backend.get_task_meta(task_id)
        return found


@pytest.fixture
def sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sent:
    return Sent(tmp_path, monkeypatch)


def test_callbacks_get_the_result_and_are_children_of_the_job(sent: Sent) -> None:
    asked = stored({"callbacks": [signature(args=["a"])], "root_id": "r"})
    conclude(sent.app, "job-1", asked, IMAGES)
    [(name, args, told)] = sent.messages
    task_id = asked["callbacks"][0]["options"]["task_id"]
    assert (name, list(args)) == ("shop.publish", [IMAGES, "a"])
    assert (told["id"], told["parent_id"], told["root_id"]) == (task_id, "job-1", "r")
    assert told["queue"] == "celery"
    found = sent.meta()
    assert (found["status"], found["result"]) == (states.SUCCESS, IMAGES)
    assert [child[0][0] for child in found["children"]] == [task_id]


def test_a_repetition_sends_the_same_ids(sent: Sent) -> None:
    asked = stored({"callbacks": [signature(), signature("shop.announce")]})
    for _ in range(2):
        conclude(sent.app, "job-1", asked, IMAGES)
    ids = [told["id"] for _, _, told in sent.messages]
    assert len(ids) == 4
    assert ids[:2] == ids[2:]


def test_the_next_task_of_a_chain_takes_the_rest_of_it_along(sent: Sent) -> None:
    last, following = signature("shop.announce"), signature(options={"queue": "shop"})
    conclude(sent.app, "job-1", stored({"chain": [last, following]}), IMAGES)
    [(name, _, told)] = sent.messages
    assert (name, told["queue"]) == ("shop.publish", "shop")
    assert [each["task"] for each in told["chain"]] == ["shop.announce"]


def test_error_callbacks_and_the_rest_of_a_chain_hear_of_a_failure(sent: Sent) -> None:
    asked = stored(
        {"errbacks": [signature("shop.complain")], "chain": [signature()], "callbacks": [signature()]}
    )
    conclude(sent.app, "job-1", asked, GenerationFailed("no"))
    [(name, args, _)] = sent.messages
    assert (name, list(args)) == ("shop.complain", ["job-1"])
    for task_id in ("job-1", asked["chain"][0]["options"]["task_id"]):
        assert isinstance(sent.meta(task_id)["result"], GenerationFailed)


def test_a_result_that_nobody_wants_is_not_stored(sent: Sent) -> None:
    conclude(sent.app, "job-1", {"ignore_result": True, "callbacks": [signature()]}, IMAGES)
    conclude(sent.app, "job-2", {"ignore_result": True}, GenerationFailed("no"))
    assert len(sent.messages) == 1
    assert {sent.meta(task_id)["status"] for task_id in ("job-1", "job-2")} == {states.PENDING}


@pytest.mark.parametrize("fault", [OperationalError("away"), ReadOnlyError("a replica")])
def test_a_broker_that_is_away_leaves_the_result_unstored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    sent = Sent(tmp_path, monkeypatch, fault)
    with pytest.raises(OperationalError):
        conclude(sent.app, "job-1", {"callbacks": [signature()]}, IMAGES)
    assert sent.meta()["status"] == states.PENDING


@pytest.mark.parametrize("fault", [ValueError("no such serializer"), ResponseError("WRONGTYPE of a key")])
@pytest.mark.parametrize("result", [IMAGES, GenerationFailed("no")])
def test_a_faulty_link_does_not_cost_the_result(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    result: Any,
    fault: Exception,
) -> None:
    sent = Sent(tmp_path, monkeypatch, fault)
    conclude(sent.app, "job-1", {"callbacks": [signature()], "errbacks": [signature()]}, result)
    assert sent.meta()["status"] in (states.SUCCESS, states.FAILURE)
    assert "job job-1 has ended, and not all" in caplog.text


def test_nothing_is_current_afterwards(sent: Sent) -> None:
    conclude(sent.app, "job-1", {"callbacks": [signature()]}, IMAGES)
    assert sent.app.current_worker_task is None
