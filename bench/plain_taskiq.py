"""A team's first draft with taskiq: two coroutines, of which the second sleeps between its polls.

For comparison only. This design has the lowest cost for a worker: a sleeping coroutine is neither sent again
nor scheduled, so a job is two messages regardless of its polls. In return, its polls end with the worker, and
restart when another worker takes the message over, by default ten minutes later.
"""

import asyncio
import os

import httpx
from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker

url = os.environ.get("BENCH_REDIS_URL", "redis://127.0.0.1")
broker = RedisStreamBroker(url).with_result_backend(RedisAsyncResultBackend(url, result_ex_time=86_400))

http = httpx.AsyncClient(
    base_url=os.environ.get("BENCH_API_URL", ""),
    headers={"Authorization": f"Bearer {os.environ.get('BENCH_API_KEY', '')}"},
    limits=httpx.Limits(max_connections=64, max_keepalive_connections=64),
    timeout=30,
)


class TryLaterError(Exception):
    """The provider refused too often, or did not finish."""


@broker.task
async def create_task(prompt: str, result_id: str, poll_every: float) -> str:
    """POST createTask, and send the task that polls; returns the provider's task id."""
    body = {
        "model": "ideogram/v3-text-to-image",
        "input": {"prompt": prompt, "image_size": "square_hd", "rendering_speed": "BALANCED"},
    }
    for tries in range(8):
        answer = (await http.post("/api/v1/jobs/createTask", json=body)).json()
        if answer["code"] not in (429, 455, 500):
            task_id = str(answer["data"]["taskId"])
            await check_status.kicker().with_task_id(result_id).kiq(task_id, poll_every)
            return task_id
        await asyncio.sleep(2**tries)
    raise TryLaterError(answer["msg"])


@broker.task
async def check_status(task_id: str, poll_every: float) -> str:
    """GET recordInfo until the task has ended; returns the result."""
    for _ in range(400):
        await asyncio.sleep(poll_every)
        answer = (await http.get("/api/v1/jobs/recordInfo", params={"taskId": task_id})).json()
        if answer["data"]["state"] == "success":
            return str(answer["data"]["resultJson"])
    raise TryLaterError(answer["data"]["state"])
