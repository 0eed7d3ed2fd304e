"""A Celery app of your own that orders images from the fleet, with none of Limner's code.

Its worker is ``celery -A examples.celery_app worker``, with LIMNER_REDIS_URL set to the fleet's Redis. It
keeps all of Celery's defaults. Its own tasks go to the queue ``celery``, and jobs to the queue ``limner``.
"""

import os
from typing import Any, Final

from celery import Celery, chain, chord
from celery.canvas import Signature
from celery.result import AsyncResult

__all__ = ["album", "apologise", "app", "bind", "image", "order", "outcome", "publish"]

IMAGE: Final = "limner.create_task"

app = Celery("shop", broker=os.environ.get("LIMNER_REDIS_URL"), backend=os.environ.get("LIMNER_REDIS_URL"))
app.conf.task_routes = {IMAGE: {"queue": "limner"}}


def image(prompt: str, **parameters: Any) -> "Signature[Any]":
    """A job as a part of a chain, a group or a chord. The parameters are those of a TextToImage."""
    return app.signature(IMAGE, kwargs={"prompt": prompt, **parameters}, immutable=True)


def order(product: str, prompt: str) -> tuple[str, str]:
    """Order the image of a product and have it published; returns the ids of the job and the last task.

    A second order of the same product is the same job, and only the first one's image is published.
    """
    steps = chain(image(prompt).set(task_id=f"shop-{product}"), publish.s(product))
    sorry = apologise.s().set(task_id=f"sorry-{product}")
    last: Any = steps.apply_async(link_error=sorry)
    return last.parent.id, last.id


def album(title: str, prompts: list[str]) -> str:
    """Order several images, which are bound when the last of them is there; returns the task's id."""
    whole: Any = chord([image(prompt) for prompt in prompts])(bind.s(title))
    return str(whole.id)


def outcome(task_id: str) -> dict[str, Any]:
    """The state of a job or of a task, with its result or its error once it has ended."""
    result: AsyncResult[Any] = app.AsyncResult(task_id)
    if result.failed():
        # Celery makes a class of that name, unless this process has imported limner.errors.
        return {"state": "failed", "error": type(result.result).__name__, "said": result.result.args[0]}
    return {"state": "succeeded", "result": result.result} if result.successful() else {"state": "open"}


@app.task
def publish(images: dict[str, Any], product: str) -> str:
    """Publish the image of a product: its copy, or the provider's link, which dies within days."""
    url = images["files"][0]["url"] if images["copied"] else images["urls"][0]
    return f"{product}: {url}"


@app.task
def bind(all_images: list[dict[str, Any]], title: str) -> list[str]:
    """Bind several jobs' images to an album."""
    return [title, *(url for images in all_images for url in images["urls"])]


@app.task
def apologise(failed_id: str) -> str:
    """Say that an order has failed; the error is the result of the task with this id."""
    return f"Sorry: {outcome(failed_id)['said']}"
