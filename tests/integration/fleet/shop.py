"""A user's own Celery app, without any of our code. Its worker takes the tasks that are linked to jobs.

``celery -A tests.integration.fleet.shop worker -Q shop,celery`` starts it, with its Redis in SHOP_REDIS, and
its broker in SHOP_BROKER if that is another server. Each task keeps its id and its arguments in the Redis.
"""

import json
import os
from typing import Any

import redis
from celery import Celery

results = os.environ.get("SHOP_REDIS")
app = Celery("shop", broker=os.environ.get("SHOP_BROKER") or results, backend=results)
app.conf.update(
    task_default_queue="shop",
    worker_pool="threads",
    broker_connection_retry_on_startup=True,
    # Arguments of its queues that no other app knows, in a broker that has them.
    task_queue_max_priority=7 if os.environ.get("SHOP_BROKER") else None,
)


def _keep(task: Any, *arguments: Any) -> None:
    with redis.Redis.from_url(os.environ["SHOP_REDIS"]) as client:
        client.rpush(f"shop:{task.name}", json.dumps([task.request.id, *arguments]))


@app.task(bind=True, name="shop.publish")
def publish(task: Any, images: dict[str, Any], tag: str) -> str:
    """Publish the images of a job."""
    _keep(task, images["job_id"], images["urls"], tag)
    return f"{tag}: {len(images['urls'])}"


@app.task(bind=True, name="shop.announce")
def announce(task: Any, said: str) -> str:
    """Announce what was published."""
    _keep(task, said)
    return f"announced {said}"


@app.task(bind=True, name="shop.complain")
def complain(task: Any, failed_id: str) -> None:
    """Hear that a task has failed."""
    _keep(task, failed_id)


@app.task(bind=True, name="shop.gather")
def gather(task: Any, results: list[dict[str, Any]], tag: str) -> list[str]:
    """Make an album of many jobs."""
    _keep(task, [result["job_id"] for result in results], tag)
    return [result["job_id"] for result in results]


@app.task(bind=True, name="shop.sketch")
def sketch(task: Any, number: int) -> dict[str, Any]:
    """A member of a chord that is no job."""
    _keep(task, number)
    return {"job_id": f"sketch {number}"}


@app.task(bind=True, name="shop.imagine")
def imagine(task: Any, about: str) -> Any:
    """Put a job in the place of this task."""
    image = app.signature("limner.create_task", kwargs={"prompt": about}, queue="limner", immutable=True)
    raise task.replace(image)
