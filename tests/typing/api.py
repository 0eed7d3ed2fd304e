"""A user's code that uses all of the public API. It is checked by mypy and by pyright, and never run.

A line with both comments is a mistake that both checkers must find: without the mistake, the comments are
errors themselves.
"""

from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any, assert_type

import limner
from limner import (
    AccountStatus,
    BrokenRecord,
    Cancellation,
    Contradiction,
    Doubt,
    Durability,
    EndsBy,
    Event,
    ImageFile,
    Images,
    Job,
    JobState,
    JobStatus,
    Letter,
    Limner,
    LogEntry,
    Pause,
    PendingCopy,
    Spending,
    Task,
    TaskState,
    TextToImage,
    UnmatchedCallback,
    errors,
)
from limner.callbacks import Receiver


def requests() -> list[TextToImage]:
    """Requests with and without the optional fields, and mistakes."""
    TextToImage(prompt="a kite", size="huge")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    TextToImage(prompt="a kite", image_size="huge")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    TextToImage()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    frozen = TextToImage(prompt="a kite")
    frozen.prompt = "a tower"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    return [
        frozen,
        TextToImage(
            prompt="a kite",
            negative_prompt="fog",
            rendering_speed="QUALITY",
            style="AUTO",
            style_codes=None,
            expand_prompt=False,
            image_size="portrait_4_3",
            num_images=4,
            seed=7,
        ),
    ]


def submit(client: Limner) -> None:
    """Every option of a submit."""
    options: Mapping[str, Any] = MappingProxyType({"order": 1})
    assert_type(client.submit("a kite"), Job)
    assert_type(client.submit(requests()[0], idempotency_key="order-1", metadata=options, lane="a"), Job)
    assert_type(client.submit("a kite", priority=9, account="main", expires_in=60), Job)
    assert_type(client.submit_many(iter(["a kite"]), idempotency_keys=("order-1",), priority=1), list[Job])
    assert_type(client.submit("a kite", copy=False), Job)
    assert_type(client.submit("a kite", copy_to="orders/4711"), Job)
    client.submit("a kite", copy_to=5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.submit(b"a kite")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.submit("a kite", priority="high")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.submit("a kite", lanes="a")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    client.submit_many(["a kite"], expires="now")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def shown(done: int, total: int | None) -> None:
    """A progress of one's own."""


def save(images: Images) -> list[Path]:
    """Images as files, and the ones that are missing."""
    try:
        assert_type(images.save("folder"), list[Path])
        return images.save(Path("folder"), overwrite=True, progress=shown, plain_hosts=["localhost"])
    except errors.ImagesNotSaved as error:
        assert_type(error.reasons, dict[int, str])
        assert_type(error.job_id, str)
        return error.saved if error.retryable else images.save("folder", progress=False)


async def asave(images: Images) -> list[Path]:
    """The same in asynchronous code."""
    await images.asave("folder", progress=True)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    return await images.asave("folder", overwrite=True, progress=shown, plain_hosts=("localhost",))


async def asubmit(client: Limner) -> None:
    """The same in asynchronous code."""
    job = await client.asubmit("a kite", idempotency_key="order-1", metadata={"order": 1})
    assert_type(job, Job)
    assert_type(await client.asubmit_many(["a kite"], lane="a", expires_in=1.5), list[Job])
    assert_type(await job.aresult(timeout=1), Images)
    assert_type(await job.wait(1), Images)
    assert_type(await job.astatus(), JobStatus)
    assert_type(await job.acancel(), Cancellation)
    assert_type(await job.alog(), list[LogEntry])
    assert_type(client.aevents(from_start=True), AsyncIterator[Event])
    async for event in client.aevents():
        assert_type(event.detail, dict[str, Any])
    await client.asubmit("a kite", lanes="a")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def result(job: Job) -> list[str]:
    """A result, and every kind of error."""
    try:
        images = job.result(timeout=300)
    except errors.ModerationRefused as failure:
        assert_type(failure.job_id, str | None)
        return [failure.message]
    except errors.JobFailed as failure:
        assert_type(failure.safe_to_resend, bool)
        assert_type(failure.advice, str)
        raise
    except (errors.WaitTimeout, errors.StoreUnavailable, errors.UnknownJob):
        return []
    assert_type(images.credits, Decimal | None)
    assert_type(images.parameters, TextToImage)
    assert_type(images.finished_at, datetime)
    assert_type(images.files, list[ImageFile])
    assert_type([file.thumbnail for file in images.files if images.copied], list[str | None])
    images.urls = []  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    return images.urls


def job(client: Limner) -> None:
    """The knowledge of a job, and the actions on it."""
    one = client.get("job-1")
    status = one.status()
    assert_type(status.state, JobState)
    assert_type(status.tasks, tuple[Task, ...])
    assert_type([task.state for task in status.tasks], list[TaskState])
    assert_type(status.position, int | None)
    assert_type(one.cancel(), Cancellation)
    assert_type(one.created, bool | None)
    one.adopt("task-1")
    one.reread()
    one.resubmit(attempt=1)
    one.give_up()
    if status.state.ended and status.state is not JobState.SUCCEEDED:
        one.result("soon")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def ajob(client: Limner) -> None:
    """The same in asynchronous code."""
    one = client.get("job-1")
    assert_type(one.log(), list[LogEntry])
    await one.aadopt("task-1")
    await one.areread()
    await one.aresubmit(1)
    await one.agive_up(attempt=1)
    await one.aadopt(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def operate(client: Limner) -> None:
    """The part of operators."""
    assert_type(client.accounts(), list[AccountStatus])
    for account in client.accounts():
        pause = account.pause
        assert_type(pause, Pause | None)
        if pause is not None:
            assert_type(pause.ends_by, EndsBy)
    client.pause("main", seconds=60, reason="the bill")
    assert_type(client.resume(), bool)
    assert_type(client.spend(days=7), Spending)
    assert_type(client.doubts(), list[Doubt])
    assert_type(client.broken(), list[BrokenRecord])
    assert_type(client.check(repair=True), list[Contradiction])
    assert_type(client.copies(), list[PendingCopy])
    assert_type([copy.last_error for copy in client.copies(failed=True)], list[str | None])
    assert_type(client.get("job-1").retry_copies(), int)
    assert_type(client.letters(), list[Letter])
    assert_type(client.drop_letters("1-0"), int)
    assert_type(client.unmatched_callbacks(), list[UnmatchedCallback])
    assert_type(client.callback_counts(), dict[str, int])
    assert_type(client.retry_broken("job-1"), bool)
    assert_type(client.drop_broken("job-1"), bool)
    assert_type(client.events(follow=False), Iterator[Event])


async def aoperate() -> None:
    """The same in asynchronous code."""
    async with Limner("redis://") as client:
        assert_type(client, Limner)
        assert_type(await client.aaccounts(), list[AccountStatus])
        await client.apause("main", 60, "the bill")
        assert_type(await client.aresume(), bool)
        assert_type(await client.aspend(7), Spending)
        assert_type(await client.adoubts(), list[Doubt])
        assert_type(await client.abroken(), list[BrokenRecord])
        assert_type(await client.acheck(), list[Contradiction])
        assert_type(await client.aretry_broken("job-1"), bool)
        assert_type(await client.adrop_broken("job-1"), bool)
        assert_type(await client.acopies(failed=True), list[PendingCopy])
        assert_type(await client.get("job-1").aretry_copies(), int)
        assert_type(await client.aletters(), list[Letter])
        assert_type(await client.adrop_letters(), int)
        assert_type(await client.aunmatched_callbacks(), list[UnmatchedCallback])
        assert_type(await client.acallback_counts(), dict[str, int])
        await client.aclose()


def clients() -> None:
    """Every way to make a client, and a receiver."""
    with Limner("redis://", timeout=1, idempotency_seconds=60, durability=Durability.DISK) as client:
        assert_type(client, Limner)
    with Limner.from_env() as client:
        assert_type(client, Limner)
    Limner("redis://", durability="replica", prefix="shop").close()
    Limner("redis://", connections=8).close()
    Limner("redis://", connections="8")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Limner()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    assert_type(Receiver.from_env(), Receiver)
    assert_type(limner.__version__, str)
