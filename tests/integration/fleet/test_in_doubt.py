"""Attempts with lost answers, and late results."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from celery import Celery
from celery.result import AsyncResult

from limner import Job, Limner, errors
from limner.job import Cancellation
from limner.status import TaskState
from sandbox.local.fleet import LocalFleet
from tests.conftest import eventually
from tests.integration.fleet.conftest import ROOMY, plain_celery, quick_provider

WAIT = 60.0
LOST = {"accept_then_drop": {"next": 1}}


def events(job: Job) -> list[str]:
    return [entry.event for entry in job.log()]


def bought(fleet: LocalFleet, prompt: str) -> int:
    assert fleet.provider
    return len(fleet.provider.ledger(prompt=prompt))


def celery_state(app: Celery, job: Job) -> str:
    # A new AsyncResult each time, because it caches the first end that it reads.
    result: Any = AsyncResult(job.id, app=app)
    return str(result.state)


def limner_command(fleet: LocalFleet, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "limner", "--redis-url", fleet.redis_url, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


# With callbacks


@pytest.fixture(scope="module")
def fleet() -> Iterator[LocalFleet]:
    # Replaces the conftest's fleet, which has no callbacks; the fixture `limner` connects to it.
    settings = {
        **ROOMY,
        "LIMNER_CALLBACK_PATIENCE_SECONDS": "4",
        "LIMNER_IN_DOUBT_SECONDS": "5",
    }
    with LocalFleet(
        callbacks=True, settings=settings, provider=quick_provider(hmac_key="account-key")
    ) as running:
        yield running


@pytest.mark.parametrize(
    "fault",
    [
        "accept_then_drop",
        "html_after",
        "slow_answer",
        "truncated_json",
        "no_task_id",
        "callback_early",
        "create_500_after",
    ],
)
def test_a_callback_recovers_a_lost_answer(fleet: LocalFleet, limner: Limner, fault: str) -> None:
    assert fleet.provider
    seconds = {"seconds": 10} if fault == "slow_answer" else {}
    fleet.provider.faults(**{fault: {"next": 1, **seconds}})
    job = limner.submit(f"found after {fault}")
    images = job.result(WAIT)
    assert bought(fleet, f"found after {fault}") == 1
    assert images.task_id == fleet.provider.ledger(prompt=f"found after {fault}")[0]["task_id"]
    assert [task.confirmed for task in job.status().tasks] == [True]


def test_a_callback_triggers_the_only_poll(fleet: LocalFleet, limner: Limner) -> None:
    assert fleet.provider
    jobs = limner.submit_many(f"quick {number}" for number in range(20))
    for job in jobs:
        assert job.result(WAIT).urls
    assert fleet.provider.summary()["reads"] == 20


def test_a_poll_replaces_a_lost_callback(fleet: LocalFleet, limner: Limner) -> None:
    assert fleet.provider
    fleet.provider.faults(callback_lost={"next": 1})
    job = limner.submit("nobody calls")
    assert job.result(WAIT).urls
    assert job.status().polls == 1


def test_a_premature_callback_does_not_end_the_job(fleet: LocalFleet, limner: Limner) -> None:
    assert fleet.provider
    fleet.provider.faults(callback_before_terminal={"next": 1}, callback_tampered={"next": 1})
    images = limner.submit("too soon").result(WAIT)
    assert "forged" not in str(images.urls)


def test_a_callback_after_the_job_s_failure_delivers_a_late_result(fleet: LocalFleet, limner: Limner) -> None:
    assert fleet.provider
    fleet.provider.faults(accept_then_drop={"next": 1}, callback_late={"next": 1, "seconds": 9})
    job = limner.submit("late but paid for")
    with pytest.raises(errors.InDoubt):
        job.result(WAIT)
    app = plain_celery(fleet.redis_url)
    eventually(lambda: celery_state(app, job) == "FAILURE")
    eventually(lambda: job.status().state == "succeeded")
    assert job.result(WAIT).urls
    assert events(job)[-3:] == ["failed", "late_answer", "succeeded_late"]
    eventually(lambda: celery_state(app, job) == "SUCCESS")
    assert limner.doubts() == []


def test_a_cancelled_job_reports_that_it_was_charged(fleet: LocalFleet, limner: Limner) -> None:
    assert fleet.provider
    fleet.provider.faults(callback_late={"next": 1, "seconds": 3})
    job = limner.submit("changed my mind")
    eventually(lambda: job.status().state == "generating")
    assert job.cancel() is Cancellation.AFTER_SENDING
    with pytest.raises(errors.Cancelled) as cancelled:
        job.result(WAIT)
    assert cancelled.value.charged == "maybe"
    eventually(lambda: "late_result" in events(job))
    [task] = job.status().tasks
    assert task.state is TaskState.SUCCEEDED
    assert task.credits
    assert task.urls
    assert job.status().state == "cancelled"
    with pytest.raises(errors.Cancelled) as cancelled:
        job.result(WAIT)
    assert cancelled.value.charged == "yes"


def test_the_task_of_a_job_cancelled_during_its_request_is_followed(
    fleet: LocalFleet, limner: Limner
) -> None:
    assert fleet.provider
    fleet.provider.faults(slow_answer={"next": 1, "seconds": 1})
    job = limner.submit("too late to stop")
    eventually(lambda: job.status().state == "sending")
    assert job.cancel() is Cancellation.AFTER_SENDING
    eventually(lambda: "late_result" in events(job))


# Without callbacks


def test_a_person_can_adopt_the_task_of_a_held_job() -> None:
    settings = {**ROOMY, "LIMNER_IN_DOUBT": "hold"}
    with (
        LocalFleet(settings=settings, provider=quick_provider(faults=json.dumps(LOST))) as fleet,
        Limner(fleet.redis_url) as limner,
    ):
        assert fleet.provider
        job = limner.submit("somebody knows")
        eventually(lambda: job.status().held)
        listed = limner_command(fleet, "--json", "doubts")
        assert json.loads(listed.stdout)["job_id"] == job.id
        assert json.loads(listed.stdout)["request"]["prompt"] == "somebody knows"
        task_id = fleet.provider.ledger(prompt="somebody knows")[0]["task_id"]
        assert limner_command(fleet, "resolve", job.id, "--adopt", task_id).returncode == 0
        assert job.result(WAIT).task_id == task_id
        assert limner_command(fleet, "doubts").stdout == ""
        wrong = limner_command(fleet, "resolve", job.id, "--resubmit")
        assert (wrong.returncode, "not in doubt" in wrong.stderr) == (2, True)


def test_a_person_can_resubmit_or_give_up_a_held_job() -> None:
    settings = {**ROOMY, "LIMNER_IN_DOUBT": "hold"}
    lost = json.dumps({"accept_then_drop": {"next": 2}})
    with (
        LocalFleet(settings=settings, provider=quick_provider(faults=lost)) as fleet,
        Limner(fleet.redis_url) as limner,
    ):
        jobs = [limner.submit("again"), limner.submit("enough")]
        eventually(lambda: all(job.status().held for job in jobs))
        jobs[0].resubmit()
        jobs[1].give_up()
        assert jobs[0].result(WAIT).urls
        assert jobs[0].status().resubmitted == 1
        assert bought(fleet, "again") == 2
        with pytest.raises(errors.InDoubt, match="gave it up"):
            jobs[1].result(WAIT)
        assert [doubt.job_id for doubt in limner.doubts()] == [jobs[1].id]


def test_the_policy_resubmit_resubmits_a_job_only_once() -> None:
    settings = {**ROOMY, "LIMNER_IN_DOUBT": "resubmit"}
    lost = json.dumps({"accept_then_drop": {"next": 3}})
    with (
        LocalFleet(settings=settings, provider=quick_provider(faults=lost)) as fleet,
        Limner(fleet.redis_url) as limner,
    ):
        job = limner.submit("unlucky twice")
        with pytest.raises(errors.InDoubt) as caught:
            job.result(WAIT)
        assert caught.value.charged == "maybe"
        assert bought(fleet, "unlucky twice") == 2
        other = limner.submit("unlucky once")
        assert other.result(WAIT).urls
        assert bought(fleet, "unlucky once") == 2
        assert events(other).count("resubmitted") == 1


def test_a_double_charge_is_recorded_with_its_credits() -> None:
    settings = {
        **ROOMY,
        "LIMNER_IN_DOUBT": "resubmit",
        "LIMNER_IN_DOUBT_SECONDS": "2",
        "LIMNER_CALLBACK_PATIENCE_SECONDS": "3",
    }
    faults = json.dumps({"accept_then_drop": {"next": 1}, "callback_late": {"next": 1, "seconds": 8}})
    with (
        LocalFleet(callbacks=True, settings=settings, provider=quick_provider(faults=faults)) as fleet,
        Limner(fleet.redis_url) as limner,
    ):
        job = limner.submit("twice")
        first = job.result(WAIT)
        eventually(lambda: "double" in events(job))
        tasks = job.status().tasks
        assert {task.state for task in tasks} == {TaskState.SUCCEEDED}
        assert len({task.task_id for task in tasks}) == 2
        assert all(task.credits for task in tasks)
        assert job.result(WAIT) == first
        assert bought(fleet, "twice") == 2


def test_a_task_that_outlasts_its_job_delivers_a_late_result() -> None:
    settings = {**ROOMY, "LIMNER_JOB_DEADLINE_SECONDS": "2"}
    with (
        LocalFleet(settings=settings, provider=quick_provider(duration=5.0)) as fleet,
        Limner(fleet.redis_url) as limner,
    ):
        assert fleet.provider
        job = limner.submit("slow")
        with pytest.raises(errors.DeadlineExceeded) as caught:
            job.result(WAIT)
        assert caught.value.task_id == fleet.provider.ledger(prompt="slow")[0]["task_id"]
        eventually(lambda: job.status().state == "succeeded")
        assert events(job)[-1] == "succeeded_late"
        assert bought(fleet, "slow") == 1


def test_without_callbacks_a_person_can_adopt_any_task() -> None:
    settings = {**ROOMY, "LIMNER_IN_DOUBT": "hold"}
    with (
        LocalFleet(settings=settings, provider=quick_provider(faults=json.dumps(LOST))) as fleet,
        Limner(fleet.redis_url) as limner,
    ):
        assert fleet.provider
        mine = limner.submit("mine")
        eventually(lambda: mine.status().held)
        # Without a callback URL, recordInfo does not show whose task it is.
        key = {"Authorization": "Bearer sandbox-key"}
        body = {"model": "ideogram/v3-text-to-image", "input": {"prompt": "by hand"}}
        made = httpx.post(f"{fleet.provider.url}/api/v1/jobs/createTask", headers=key, json=body, timeout=5)
        task_id = made.json()["data"]["taskId"]
        mine.adopt(task_id)
        assert mine.result(WAIT).task_id == task_id


def test_a_person_cannot_give_the_task_of_one_job_to_another() -> None:
    settings = {**ROOMY, "LIMNER_IN_DOUBT": "hold"}
    with (
        LocalFleet(settings=settings, provider=quick_provider(faults=json.dumps(LOST))) as fleet,
        Limner(fleet.redis_url) as limner,
    ):
        mine = limner.submit("mine")
        eventually(lambda: mine.status().held)
        theirs = limner.submit("theirs").result(WAIT)
        with pytest.raises(errors.InvalidState):
            mine.adopt(theirs.task_id)
        assert mine.status().held


# Shutdown


def test_a_stopping_worker_gives_back_its_claimed_steps() -> None:
    with LocalFleet(settings=ROOMY, provider=quick_provider()) as fleet, Limner(fleet.redis_url) as limner:
        assert fleet.provider
        fleet.provider.faults(slow_answer={"next": 1000, "seconds": 2})
        jobs = limner.submit_many(f"wave {number}" for number in range(120))
        eventually(lambda: fleet.provider.summary()["created"] >= 20)  # type: ignore[union-attr]
        worker = fleet.workers[0].child
        worker.signal(signal.SIGTERM)
        worker.signal(signal.SIGTERM)
        assert worker.wait(30) == 0
        states = [str(job.status().state) for job in jobs]
        assert set(states) <= {"queued", "generating", "succeeded"}
        import redis

        with redis.Redis.from_url(fleet.redis_url, decode_responses=True) as client:
            holding = client.zcard("limner:{main}:in-flight:main")
            ready = client.zcard("limner:{main}:ready")
        assert holding == states.count("generating")
        assert ready == states.count("queued")
        fleet.provider.faults()
        fleet.start_worker()
        for job in jobs:
            assert job.result(WAIT).urls
        assert fleet.provider.summary()["created"] == 120
