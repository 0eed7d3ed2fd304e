"""Stock Celery with all its options against loss. For comparison with the long run only.

It uses ``acks_late``, ``reject_on_worker_lost``, ``self.retry`` with a countdown on every error and time-out,
and a status check that is chained to the creation, on kombu's own Redis transport.
"""

import os
from typing import Any

import httpx
from celery import Celery, chain

VISIBILITY_TIMEOUT = 60
"""Seconds until an unacknowledged message is redelivered.

With Celery's default of an hour, the jobs of a killed worker would wait for the whole run; a value below the
longest countdown would run retries twice.
"""
LONGEST_COUNTDOWN = 30
POLL_EVERY = 0.5
LATER = {429, 455, 500}

app = Celery("stock", broker=os.environ.get("BENCH_REDIS_URL"), backend=os.environ.get("BENCH_REDIS_URL"))
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    result_backend_thread_safe=True,
    broker_transport_options={"visibility_timeout": VISIBILITY_TIMEOUT},
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    worker_cancel_long_running_tasks_on_connection_loss=False,
)

http = httpx.Client(
    base_url=os.environ.get("BENCH_API_URL", ""),
    headers={"Authorization": f"Bearer {os.environ.get('BENCH_API_KEY', '')}"},
    timeout=float(os.environ.get("BENCH_REQUEST_TIMEOUT", "2")),
    limits=httpx.Limits(max_connections=64, max_keepalive_connections=64),
)


class TryLaterError(Exception):
    """The provider refused for now, or has not finished."""


class TaskFailedError(Exception):
    """The provider could not make the image."""


TRY_AGAIN = (TryLaterError, httpx.HTTPError, ValueError, KeyError, TypeError)
"""The errors that are retried: a refusal, no answer, no JSON, no task id."""


@app.task(bind=True, max_retries=8)
def create_task(self, prompt):  # type: ignore[no-untyped-def]
    """POST createTask; returns the provider's task id."""
    body = {"model": "ideogram/v3-text-to-image", "input": {"prompt": prompt, "image_size": "square_hd"}}
    try:
        answer = http.post("/api/v1/jobs/createTask", json=body).json()
        if answer["code"] in LATER:
            raise TryLaterError(answer["msg"])
        return answer["data"]["taskId"]
    except TRY_AGAIN as error:
        countdown = min(0.5 * 2**self.request.retries, LONGEST_COUNTDOWN)
        raise self.retry(countdown=countdown, exc=error) from error


@app.task(bind=True, max_retries=400)
def check_status(self, task_id):  # type: ignore[no-untyped-def]
    """GET recordInfo until the task has ended; returns the result."""
    try:
        data = http.get("/api/v1/jobs/recordInfo", params={"taskId": task_id}).json()["data"]
        if data["state"] not in ("success", "fail"):
            raise TryLaterError(data["state"])
    except TRY_AGAIN as error:
        raise self.retry(countdown=POLL_EVERY, exc=error) from error
    if data["state"] == "fail":
        raise TaskFailedError(data["failMsg"])
    return data["resultJson"]


def submit(prompt: str) -> tuple[str, str]:
    """Send the chain; returns the ids of its two tasks."""
    last: Any = chain(create_task.s(prompt), check_status.s()).apply_async()
    return last.parent.id, last.id
