"""The demo's jobs: submitted in three ways, watched until they have ended."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import celery

from examples.demo.orders import Order, Source
from limner import Images, Job, JobFailed, JobStatus, Limner, TextToImage, UnknownJob

__all__ = ["Ended", "Watched", "ended", "scheduled", "submit"]


@dataclass(frozen=True)
class Watched:
    """A submitted job."""

    order: Order
    job: Job

    def status(self) -> JobStatus | None:
        """None while a worker has not yet made a job of the Celery message."""
        try:
            return self.job.status()
        except UnknownJob:
            return None


@dataclass(frozen=True)
class Ended:
    """A job that has ended: with images, with an error, or not in time (neither)."""

    watched: Watched
    status: JobStatus | None
    images: Images | None = None
    error: JobFailed | None = None

    @property
    def as_expected(self) -> bool:
        wanted = self.watched.order.error
        if wanted is not None:
            return isinstance(self.error, wanted)
        return self.images is not None and len(self.images.urls) == self.watched.order.request.num_images

    @property
    def seconds_queued(self) -> float | None:
        """The time from submission to the sending of the accepted attempt."""
        if self.status is None or self.status.sent_at is None:
            return None
        return (self.status.sent_at - self.status.created_at).total_seconds()

    @property
    def seconds_generating(self) -> float | None:
        """The time from then until the job ended; its images were copied by then, or not in time."""
        if self.status is None or self.status.sent_at is None or self.status.finished_at is None:
            return None
        return (self.status.finished_at - self.status.sent_at).total_seconds()


def submit(limner: Limner, redis_url: str, orders: Iterable[Order]) -> Iterator[Watched]:
    """Submit each in its own way, in one round trip for those that Limner submits."""
    listed = list(orders)
    ours = [order for order in listed if order.source is Source.LIMNER]
    for order, job in zip(ours, limner.submit_many(order.request for order in ours), strict=True):
        yield Watched(order, job)
    for order in listed:
        if order.source is Source.CELERY:
            yield Watched(order, limner.get(send_with_celery(redis_url, order.request)))


def send_with_celery(redis_url: str, request: TextToImage) -> str:
    """Send a request with Celery alone; returns the job's id, which is the Celery task's."""
    with celery.Celery(broker=redis_url, backend=redis_url) as app:
        sent = app.send_task(
            "limner.create_task", kwargs=request.model_dump(exclude_none=True), queue="limner"
        )
        return str(sent.id)


def scheduled(limner: Limner) -> Watched | None:
    """The first job that beat has submitted; None before its first tick."""
    for event in limner.events(from_start=True, follow=False):
        if "schedule" in event.metadata:
            job = limner.get(event.job_id)
            request = TextToImage.model_validate(job.status().request)
            return Watched(Order(request, source=Source.BEAT), job)
    return None


def ended(watched: Watched) -> Ended:
    """The current status of a job, with its images or its error if it has ended."""
    status = watched.status()
    if status is None or not status.state.ended:
        return Ended(watched, status)
    try:
        return Ended(watched, status, images=watched.job.result(timeout=5))
    except JobFailed as error:
        return Ended(watched, status, error=error)


def seconds_since_submission(status: JobStatus, now: datetime | None = None) -> float:
    """A job's age, or how long it took."""
    return ((status.finished_at or now or datetime.now(UTC)) - status.created_at).total_seconds()


def has_ended(status: JobStatus | None) -> bool:
    return status is not None and status.state.ended
