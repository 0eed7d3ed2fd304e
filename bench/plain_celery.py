"""A team's first draft with Celery: a chain of two tasks that retry themselves. For comparison only."""

import os

import httpx
from celery import Celery, chain

app = Celery("plain", broker=os.environ.get("BENCH_REDIS_URL"), backend=os.environ.get("BENCH_REDIS_URL"))
app.conf.update(worker_prefetch_multiplier=1, task_acks_late=True, result_backend_thread_safe=True)

http = httpx.Client(
    base_url=os.environ.get("BENCH_API_URL", ""),
    headers={"Authorization": f"Bearer {os.environ.get('BENCH_API_KEY', '')}"},
    limits=httpx.Limits(max_connections=64, max_keepalive_connections=64),
)


class TryLaterError(Exception):
    """The provider refused for now, or has not finished."""


@app.task(bind=True, max_retries=8)
def create_task(self, prompt):  # type: ignore[no-untyped-def]
    """POST createTask; returns the provider's task id."""
    body = {
        "model": "ideogram/v3-text-to-image",
        "input": {"prompt": prompt, "image_size": "square_hd", "rendering_speed": "BALANCED"},
    }
    answer = http.post("/api/v1/jobs/createTask", json=body).json()
    if answer["code"] in (429, 455, 500):
        raise self.retry(countdown=2**self.request.retries, exc=TryLaterError(answer["msg"]))
    return answer["data"]["taskId"]


@app.task(bind=True, max_retries=400)
def check_status(self, task_id, poll_every):  # type: ignore[no-untyped-def]
    """GET recordInfo until the task has ended; returns the result."""
    data = http.get("/api/v1/jobs/recordInfo", params={"taskId": task_id}).json()["data"]
    if data["state"] != "success":
        raise self.retry(countdown=poll_every, exc=TryLaterError(data["state"]))
    return data["resultJson"]


def submit(prompt: str, poll_every: float):  # type: ignore[no-untyped-def]
    """Send the chain, which polls every ``poll_every`` seconds; returns the AsyncResult of its last task."""
    polls = check_status.s(poll_every).set(countdown=poll_every)
    return chain(create_task.s(prompt), polls).apply_async()
