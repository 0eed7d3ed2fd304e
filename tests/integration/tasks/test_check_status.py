"""A message of several polls, made by a worker's own services on a real Valkey and over real HTTP."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
from celery import Celery
from celery.result import AsyncResult
from pydantic import SecretStr

from config import Settings
from limner import Images
from limner.ledger import Claim, Grant
from limner.ledger.record import Record
from limner.ledger.scripts.calls import ReportPollsCall
from limner.models import TextToImage
from limner.submission import prepare
from tasks import check_status
from tests.conftest import eventually
from tests.integration.provider.raw import Conversation, RawServer, http
from worker.application import build_app
from worker.limits.quota import quotas
from worker.services import POLLS_IN_A_MESSAGE, Services, make_services

NOW: Final = round(datetime.now(UTC).timestamp() * 1000)
LONG: Final = 60.0
"""A time longer than any of these tests takes."""


def success(task_id: str) -> dict[str, Any]:
    """A recordInfo of a task that took eight seconds."""
    return {
        "taskId": task_id,
        "state": "success",
        "resultJson": json.dumps({"resultUrls": [f"https://files/{task_id}.png"]}),
        "creditsConsumed": 7,
        "createTime": NOW - 9000,
        "completeTime": NOW - 1000,
    }


def generating(task_id: str) -> dict[str, Any]:
    return {"taskId": task_id, "state": "generating"}


def failure(task_id: str) -> dict[str, Any]:
    return {"taskId": task_id, "state": "fail", "failCode": "500", "failMsg": "it broke"}


@dataclass
class Provider:
    """Answers recordInfo as the test says; an answer that is held back waits until the test releases it."""

    answers: dict[str, Callable[[str], dict[str, Any]]] = field(default_factory=dict)
    held: dict[str, threading.Event] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)

    def __call__(self, conversation: Conversation) -> None:
        while request := conversation.receive():
            task_id = request.split(b"taskId=", 1)[1].split(b" ", 1)[0].decode()
            self.asked.add(task_id)
            if task_id in self.held:
                self.held[task_id].wait(LONG)
            data = self.answers.get(task_id, success)(task_id)
            conversation.send(http(json.dumps({"code": 200, "msg": "success", "data": data}).encode()))

    def hold(self, *task_ids: str) -> None:
        for task_id in task_ids:
            self.held[task_id] = threading.Event()

    def let_go(self, *task_ids: str) -> None:
        for task_id in task_ids or list(self.held):
            self.held[task_id].set()


@dataclass
class World:
    """A worker's services, and the jobs whose tasks it polls."""

    services: Services
    app: Celery
    provider: Provider
    scripts: list[Any] = field(default_factory=list)
    """The scripts that were run on the ledger."""

    def polls(self, count: int) -> list[Claim]:
        """The given number of polls, each of its own job; job and task are named by their number."""
        jobs = self.services.ledger.jobs
        allowed = quotas(self.services.settings)
        for number in range(count):
            request = TextToImage(prompt=f"fox {number}")
            jobs.submit(prepare(request, job_id=f"job-{number}", metadata={"number": number}))
        for step in self.services.ledger.queue.claim(*allowed, money=self.services.money).steps:
            grant = jobs.begin(step.job_id, step.lease, f"token of {step.job_id}", deadline=900)
            assert isinstance(grant, Grant)
            jobs.accepted(step.job_id, grant.attempt, task_of(step.job_id), poll_in=0.0)
        steps = self.services.ledger.queue.claim(*allowed, money=self.services.money).steps
        assert {step.step for step in steps} == {"poll"}
        assert len(steps) == count
        return sorted(steps, key=lambda step: step.job_id)

    def record(self, job_id: str) -> Record:
        found = self.services.ledger.jobs.read(job_id)
        assert found
        return found

    def states(self) -> dict[str, str]:
        keys = self.services.ledger.store.redis.keys(self.services.ledger.jobs.key("*"))
        names = [key.rpartition(":")[2] for key in keys]
        state = self.services.ledger.store.redis.hget
        return {name: state(self.services.ledger.jobs.key(name), "state") for name in names}

    def succeeded(self) -> set[str]:
        """The jobs that have succeeded on the ledger and in Celery's backend."""
        ended = {job_id for job_id, state in self.states().items() if state == "succeeded"}
        return {job_id for job_id in ended if AsyncResult(job_id, app=self.app).state == "SUCCESS"}

    def damage(self, job_id: str, name: str, value: str) -> None:
        self.services.ledger.store.redis.hset(self.services.ledger.jobs.key(job_id), name, value)

    def due(self, job_id: str) -> float | None:
        found: float | None = self.services.ledger.store.redis.zscore(
            f"{self.services.ledger.prefix}due", job_id
        )
        return found

    def names(self) -> list[str]:
        return [script.NAME for script in self.scripts]

    def reported(self) -> list[int]:
        """The number of polls in each report."""
        return [len(script.reports) for script in self.scripts if isinstance(script, ReportPollsCall)]


def task_of(job_id: str) -> str:
    return job_id.replace("job", "task")


@dataclass
class Polling:
    """A message of polls, in a thread of its own as in a worker."""

    world: World
    steps: list[Claim]
    error: BaseException | None = None

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            check_status.poll(self.world.services, self.steps)
        except BaseException as error:
            self.error = error

    @property
    def over(self) -> bool:
        return not self._thread.is_alive()

    def finish(self) -> None:
        """Release all answers, and wait; raises the error of the thread."""
        self.world.provider.let_go()
        self._thread.join(LONG)
        if self.error:
            raise self.error


@pytest.fixture(params=["0"])
def world(
    request: pytest.FixtureRequest,
    valkey_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[World]:
    """A worker; the parameter is the number of the database of Celery's results."""
    monkeypatch.chdir(tmp_path)
    provider = Provider()
    with RawServer(provider) as server:
        settings = Settings(
            redis_url=valkey_url,
            result_url=valkey_url.removesuffix("/0") + f"/{request.param}",
            api_key=SecretStr("a-key-of-the-tests"),
            api_url=server.url,
            reads_per_second=1000,
            concurrency=4,
            result_ttl_seconds=3600,
            generation_attempts=1,
        )
        app = build_app(settings)
        services = make_services(settings, app)
        world = World(services, app, provider)
        run = services.ledger.store.run

        def listen(script: Any) -> Any:
            world.scripts.append(script)
            return run(script)

        monkeypatch.setattr(services.ledger.store, "run", listen)
        yield world
        provider.let_go()
        services.readers.shutdown()
        for client in services.providers.values():
            client.close()


# Side by side


def test_polls_of_a_message_are_made_at_the_same_time(world: World) -> None:
    steps = world.polls(POLLS_IN_A_MESSAGE)
    tasks = {task_of(step.job_id) for step in steps}
    world.provider.hold(*tasks)
    polling = Polling(world, steps)
    eventually(lambda: world.provider.asked == tasks)
    polling.finish()
    assert len(world.succeeded()) == POLLS_IN_A_MESSAGE


def test_what_is_finished_does_not_wait_for_the_slowest(world: World) -> None:
    steps = world.polls(POLLS_IN_A_MESSAGE)
    slow = steps[3].job_id
    world.provider.hold(task_of(slow))
    polling = Polling(world, steps)
    eventually(lambda: world.succeeded() == {step.job_id for step in steps} - {slow})
    assert not polling.over
    assert world.record(slow).state == "generating"
    polling.finish()
    assert world.succeeded() == {step.job_id for step in steps}


def test_each_of_two_slow_polls_is_reported_when_it_has_finished(world: World) -> None:
    steps = world.polls(3)
    quick, slow, slower = (step.job_id for step in steps)
    world.provider.hold(task_of(slow), task_of(slower))
    polling = Polling(world, steps)
    eventually(lambda: world.succeeded() == {quick})
    world.provider.let_go(task_of(slow))
    eventually(lambda: world.succeeded() == {quick, slow})
    assert not polling.over
    polling.finish()
    assert world.reported() == [1, 1, 1]


def test_polls_that_finish_within_the_time_for_it_are_reported_together(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert check_status.REPORT_WITHIN == 0.05
    # A busy machine must not change which polls are reported together.
    monkeypatch.setattr(check_status, "REPORT_WITHIN", LONG)
    Polling(world, world.polls(POLLS_IN_A_MESSAGE)).finish()
    assert world.reported() == [POLLS_IN_A_MESSAGE]


def test_a_poll_by_itself_is_made_and_reported(world: World) -> None:
    Polling(world, world.polls(1)).finish()
    assert world.succeeded() == {"job-0"}


def test_each_poll_of_a_message_comes_to_its_own_end(world: World) -> None:
    steps = world.polls(5)
    done, pending, failed, overdue, slow = (step.job_id for step in steps)
    world.provider.answers = {
        task_of(pending): generating,
        task_of(failed): failure,
        task_of(overdue): generating,
    }
    world.damage(overdue, "deadline", str(NOW - 1))
    world.provider.hold(task_of(slow))
    polling = Polling(world, steps)
    eventually(lambda: world.states()[overdue] == "failed" and world.states()[failed] == "failed")
    eventually(lambda: world.record(pending).polls == 1)
    eventually(lambda: world.succeeded() == {done})
    assert world.states()[slow] == "generating"
    polling.finish()
    assert world.states()[pending] == "generating"
    assert AsyncResult(failed, app=world.app).state == "FAILURE"
    assert AsyncResult(overdue, app=world.app).state == "FAILURE"
    assert world.succeeded() == {done, slow}


# Faults of one poll


class Buggy:
    """A client of the provider with a bug that shows for one task."""

    def __init__(self, client: Any, task_id: str) -> None:
        self._client, self._task_id = client, task_id

    def record_info(self, task_id: str, **options: Any) -> Any:
        if task_id == self._task_id:
            raise RuntimeError("a bug")
        return self._client.record_info(task_id, **options)


def test_a_poll_that_raises_spoils_only_itself(world: World, caplog: pytest.LogCaptureFixture) -> None:
    steps = world.polls(4)
    [(account, client)] = world.services.providers.items()
    buggy: Any = Buggy(client, "task-1")
    world.services = replace(world.services, providers={account: buggy})
    world.provider.hold("task-2")
    polling = Polling(world, steps)
    eventually(lambda: world.succeeded() == {"job-0", "job-3"})
    polling.finish()
    assert world.succeeded() == {"job-0", "job-2", "job-3"}
    assert "a bug" in caplog.text
    assert world.record("job-1").state == "generating"
    assert world.record("job-1").lease == steps[1].lease
    # It is polled again when its lease has expired.
    due = world.due("job-1")
    assert due
    assert due / 1000 == pytest.approx(
        datetime.now(UTC).timestamp() + world.services.ledger.leases.poll, abs=20
    )


def test_a_decision_that_raises_spoils_only_itself(world: World, caplog: pytest.LogCaptureFixture) -> None:
    steps = world.polls(4)
    world.provider.hold(*(task_of(step.job_id) for step in steps))
    world.services.ledger.store.redis.hdel(world.services.ledger.jobs.key("job-1"), "deadline")
    Polling(world, steps).finish()
    assert world.succeeded() == {"job-0", "job-2", "job-3"}
    assert "job-1" in caplog.text


DAMAGE: Final = {
    "a count that is no number": ("polls", "many"),
    "a version of nobody": ("v", "99"),
    "a request that is no JSON": ("request", '{"prompt": "a f'),
    "a request that is no object": ("request", "[]"),
    "metadata that is no JSON": ("metadata", "{"),
    "tasks that are no JSON": ("tasks", "[{"),
    "tasks that are no tasks": ("tasks", "[1]"),
    "a state that there is not": ("state", "sleeping"),
}


@pytest.mark.parametrize(("name", "value"), DAMAGE.values(), ids=list(DAMAGE))
def test_a_record_that_is_damaged_before_the_poll_spoils_only_that(
    world: World, name: str, value: str
) -> None:
    steps = world.polls(4)
    world.damage("job-1", name, value)
    Polling(world, steps).finish()
    assert world.succeeded() >= {"job-0", "job-2", "job-3"}


@pytest.mark.parametrize(("name", "value"), DAMAGE.values(), ids=list(DAMAGE))
def test_a_record_that_is_damaged_during_the_poll_spoils_only_that(
    world: World, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setattr(check_status, "REPORT_WITHIN", LONG)
    steps = world.polls(4)
    tasks = {task_of(step.job_id) for step in steps}
    world.provider.hold(*tasks)
    polling = Polling(world, steps)
    eventually(lambda: world.provider.asked == tasks)
    world.damage("job-1", name, value)
    polling.finish()
    assert world.succeeded() >= {"job-0", "job-2", "job-3"}


def test_a_damaged_record_of_an_overdue_job_does_not_end_the_other_polls(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    steps = world.polls(2)
    world.provider.answers = {"task-0": generating}
    world.damage("job-0", "deadline", str(NOW - 1))
    world.provider.hold("task-0", "task-1")
    polling = Polling(world, steps)
    eventually(lambda: world.provider.asked == {"task-0", "task-1"})
    world.damage("job-0", "polls", "many")
    world.provider.let_go("task-0")
    eventually(lambda: polling.over or "job-0" in caplog.text)
    polling.finish()
    assert world.succeeded() == {"job-1"}


def test_a_poll_whose_lease_is_another_s_by_now_is_left_out(world: World) -> None:
    steps = world.polls(3)
    stale = replace(steps[1], lease=steps[1].lease - 1)
    Polling(world, [steps[0], stale, steps[2]]).finish()
    assert world.succeeded() == {"job-0", "job-2"}
    assert world.provider.asked == {"task-0", "task-2"}


# The results


def test_beside_the_ledger_a_job_takes_two_trips(world: World) -> None:
    steps = world.polls(1)
    world.scripts.clear()
    Polling(world, steps).finish()
    assert world.names() == ["begin_polls", "report_polls"]


def test_the_result_is_that_of_the_record(world: World) -> None:
    Polling(world, world.polls(2)).finish()
    for job_id in ("job-0", "job-1"):
        told = Images.model_validate(AsyncResult(job_id, app=world.app).get(timeout=5))
        assert told == world.record(job_id).images()
        assert told.urls == [f"https://files/{task_of(job_id)}.png"]


def test_the_duration_is_learned(world: World) -> None:
    Polling(world, world.polls(2)).finish()
    kind = "ideogram/v3-text-to-image:BALANCED:1"
    assert world.services.ledger.durations.of(kind).jobs == pytest.approx(2.0, abs=0.01)


@pytest.mark.parametrize("world", ["1"], indirect=True)
def test_in_another_database_the_result_is_stored_by_a_step_of_its_own(world: World) -> None:
    steps = world.polls(1)
    world.scripts.clear()
    Polling(world, steps).finish()
    assert world.names() == ["begin_polls", "report_polls", "stored"]
    redis = world.services.ledger.store.redis
    assert redis.keys("celery-task-meta-*") == []
    assert Images.model_validate(AsyncResult("job-0", app=world.app).get(timeout=5)) == (
        world.record("job-0").images()
    )
    assert redis.hget(world.services.ledger.jobs.key("job-0"), "stored") == "1"
    assert world.due("job-0") is None
    assert 0 < redis.ttl(world.services.ledger.jobs.key("job-0")) <= 3600


@pytest.mark.parametrize("world", ["1"], indirect=True)
def test_in_another_database_what_is_finished_does_not_wait_for_the_slowest_either(world: World) -> None:
    steps = world.polls(3)
    world.provider.hold("task-2")
    polling = Polling(world, steps)
    eventually(lambda: world.succeeded() == {"job-0", "job-1"})
    assert not polling.over
    polling.finish()
    assert world.succeeded() == {"job-0", "job-1", "job-2"}
