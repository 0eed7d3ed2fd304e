"""Apps of their own settings, side by side in one process. Nothing connects."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest
from celery.app import app_or_default

from config import Settings
from limner.ledger import Record, Submitted
from limner.ledger.jobs import Jobs
from provider import KieClient
from tests.unit.tasks.doubles import Desk, Recorder, a_record
from worker import application
from worker.application import Application, build_app, consume_only_own_queues
from worker.consumer import InspectionStep
from worker.dispatcher import TASKS, DispatcherStep
from worker.health.heartbeat import HeartbeatStep
from worker.inspection import FAULT, STEP


def app(**settings: Any) -> Application:
    """An app that has loaded its steps, as a worker does."""
    made = build_app(Settings(redis_url="redis://127.0.0.1:1/0", **settings))
    made.loader.import_default_modules()
    return made


def working(desk: Desk) -> Application:
    """An app whose steps work with the doubles of this desk."""
    made = app()
    made._services = desk.services()
    return made


@contextmanager
def message(task: Any, **headers: Any) -> Iterator[Any]:
    """The task, while it has this message."""
    task.push_request(id="job-1", **headers)
    try:
        yield task
    finally:
        task.pop_request()


def test_an_app_has_the_task_of_each_step() -> None:
    assert set(TASKS.values()) <= set(app().tasks)


def test_only_the_making_of_a_job_is_acknowledged_late() -> None:
    tasks = app().tasks
    late = {name for name in TASKS.values() if tasks[name].acks_late}
    assert late == {"limner.create_task"}
    assert tasks["limner.create_task"].reject_on_worker_lost


def test_an_app_has_the_options_of_its_settings() -> None:
    assert (app(concurrency=3).conf.worker_concurrency, app(concurrency=5).conf.worker_concurrency) == (3, 5)


def test_a_worker_of_the_app_has_a_dispatcher_and_a_heartbeat() -> None:
    made = app()
    assert DispatcherStep in made.steps["worker"]
    assert {InspectionStep, HeartbeatStep} <= made.steps["consumer"]


def test_a_worker_does_not_consume_the_queues_of_linked_tasks() -> None:
    made = app()
    consume_only_own_queues(made)
    assert made.amqp.router.route({}, "shop.publish")["queue"].name == "celery"
    assert made.amqp.router.route({"queue": "shop"}, "shop.publish")["queue"].name == "shop"
    assert set(made.amqp.queues.consume_from) == {"limner", "limner.steps", "limner.copies"}


def test_a_linked_job_goes_to_the_fleet_s_own_queue() -> None:
    assert app().amqp.router.route({}, "limner.create_task")["queue"].name == "limner"


def test_an_app_is_not_the_process_s_current_one_by_itself() -> None:
    made = app()
    assert app_or_default() is not made


def test_each_app_s_steps_use_its_own_services() -> None:
    desks = [Desk(provider=Recorder(KieClient, credits=Decimal(number))) for number in range(2)]
    apps = [working(desk) for desk in desks]
    for made in apps:
        with message(made.tasks["limner.check_credits"]) as task:
            task.run("main", 7)
    assert [desk.accounts.given("balance_read")["balance"] for desk in desks] == [0, 1]


def test_services_are_made_once_though_many_steps_begin_together(monkeypatch: pytest.MonkeyPatch) -> None:
    made, begun = [], threading.Barrier(8)

    def make(_settings: Settings, _app: Application) -> object:
        made.append(object())
        return made[-1]

    monkeypatch.setattr(application, "make_services", make)
    one = app()

    def step(_number: int) -> object:
        begun.wait(10)
        return one.services

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(step, range(8))) == set(made)
    assert len(made) == 1


# What the tasks do with their messages


def test_a_dispatcher_s_message_is_an_attempt() -> None:
    desk = Desk(jobs=Recorder(Jobs, begin="stale"))
    with message(working(desk).tasks["limner.create_task"], **{STEP: 1}) as task:
        task.run("job-1", 7)
    begun = desk.jobs.given("begin")
    assert (begun["job_id"], begun["lease"]) == ("job-1", 7)


def test_a_message_with_a_fault_is_answered_and_makes_no_job() -> None:
    desk = Desk()
    with message(working(desk).tasks["limner.create_task"], **{FAULT: "header eta"}) as task:
        task.run()
    assert desk.jobs.calls == []
    assert "header eta" in str(desk.results.given("refuse")["error"])


def test_a_plain_producer_s_message_is_a_new_job() -> None:
    desk = Desk(jobs=Recorder(Jobs, submit=Submitted("created", "job-1")))
    with message(working(desk).tasks["limner.create_task"]) as task:
        task.run(prompt="a fox")
    assert desk.jobs.given("submit")["new"].job_id == "job-1"


def test_only_a_plain_producer_is_told_that_its_call_failed() -> None:
    desk = Desk()
    task: Any = working(desk).tasks["limner.create_task"]
    with message(task, **{STEP: 1}):
        task.on_failure(TypeError("a bug"), "job-1", (), {}, None)
    assert desk.results.calls == []
    with message(task):
        task.on_failure(TypeError("no such option"), "job-1", (), {}, None)
    assert "no such option" in str(desk.results.given("refuse")["error"])


def test_polls_are_made_under_the_leases_of_their_message() -> None:
    desk = Desk(jobs=Recorder(Jobs, begin_polls=[None, None]))
    with message(working(desk).tasks["limner.check_status"]) as task:
        task.run([["job-1", 7], ["job-2", 8]])
    polls = desk.jobs.given("begin_polls")["polls"]
    assert [(poll.job_id, poll.step, poll.lease) for poll in polls] == [
        ("job-1", "poll", 7),
        ("job-2", "poll", 8),
    ]


def test_a_recovery_is_of_the_job_that_its_message_names() -> None:
    ended: Record = a_record("failed")
    desk = Desk(jobs=Recorder(Jobs, read=ended))
    with message(working(desk).tasks["limner.recover"]) as task:
        task.run("job-1", 7)
    assert desk.jobs.given("read") == {"job_id": "job-1"}
    assert desk.results.given("store")["record"] is ended
