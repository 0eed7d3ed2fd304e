"""A web backend that uses all that a producer has: ``python backend.py FLEET_URL OTHER_URL``.

It runs in an environment with the wheel and its dependencies only, so it imports nothing else of ours. The
first URL is the Redis of a fleet. The second is that of a Redis without one, which is put into bad states.
"""

import asyncio
import json
import re
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

import pydantic
import redis

import limner
from limner import Cancellation, Images, Job, JobState, Limner, TextToImage, errors

PATIENCE: Final = 60.0
"""Seconds for a job of the fleet, which ends in less than one."""
SHORT: Final = 0.3
"""Seconds: the time-out towards a Redis that does not answer."""
NOWHERE: Final = "redis://127.0.0.1:1/0"
REQUEST: Final = TextToImage(
    prompt="ein Drachen über der Salzebene 🪁",
    negative_prompt="fog",
    rendering_speed="TURBO",
    style_codes=["0A1b2C3d"],
    image_size="landscape_16_9",
    num_images=2,
    seed=7,
    expand_prompt=False,
)


def raised(kind: type[Exception], words: str, call: Callable[[], object]) -> None:
    """Check that a call raises an error of this kind, with these words."""
    try:
        answer = call()
    except kind as error:
        assert re.search(words, str(error)), f"{words!r} is not in {error!s}"
        return
    raise AssertionError(f"{kind.__name__} was not raised; the answer was {answer!r}")


def araised(kind: type[Exception], words: str, call: Callable[[Limner], Awaitable[object]], url: str) -> None:
    """The same for asynchronous code."""

    async def made() -> object:
        async with Limner(url, timeout=SHORT) as client:
            return await call(client)

    raised(kind, words, lambda: asyncio.run(made()))


# What needs no Redis


def wrong_urls() -> None:
    for url in ("", "http://host", "redis://host:port/0", "redis://host/zero", "unix://"):
        raised(errors.ConfigurationError, "LIMNER_REDIS_URL: not the URL of a Redis", partial(Limner, url))
    Limner("rediss://:secret@host:6380/1").close()
    Limner("unix:///run/redis.sock?db=2").close()


def refused_input() -> None:
    client = Limner(NOWHERE)
    raised(errors.InvalidRequest, "^prompt: must not be blank$", lambda: client.submit(" "))
    raised(errors.InvalidRequest, "^priority: must be", lambda: client.submit("a", priority=10))
    raised(errors.InvalidRequest, "^lane: must be a text", lambda: client.submit("a", lane=""))
    raised(errors.InvalidRequest, "^metadata: ", lambda: client.submit("a", metadata={"a": float("nan")}))
    raised(errors.InvalidRequest, "^expires_in: must be", lambda: client.submit("a", expires_in=0))
    raised(TypeError, "^lanes: there is no such option", lambda: client.submit("a", lanes="a"))  # type: ignore[call-arg]
    wrong: list[dict[str, Any]] = [
        {"prompt": "a", "num_images": 5},
        {"prompt": "a", "num_images": "1"},
        {"prompt": "a", "promt": "b"},
        {"prompt": "a", "style": "AUTO", "style_codes": ["0a1b2c3d"]},
        {"prompt": "a", "image_size": "huge"},
        {"prompt": "a" * 5001},
    ]
    for fields in wrong:
        raised(pydantic.ValidationError, ".", partial(TextToImage.model_validate, fields))
    raised(pydantic.ValidationError, "frozen", lambda: setattr(REQUEST, "prompt", "b"))
    assert TextToImage.model_validate_json(REQUEST.model_dump_json()) == REQUEST


def redis_is_down() -> None:
    with Limner(NOWHERE, timeout=SHORT) as client:
        raised(errors.StoreUnavailable, "127.0.0.1:1 cannot be reached", lambda: client.submit("a"))
        raised(errors.StoreUnavailable, "cannot be reached", client.get("x").status)
        raised(errors.StoreUnavailable, "cannot be reached", client.accounts)
    araised(errors.StoreUnavailable, "cannot be reached", lambda one: one.asubmit("a"), NOWHERE)
    araised(errors.StoreUnavailable, "cannot be reached", lambda one: one.get("x").astatus(), NOWHERE)


def redis_is_silent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"redis://127.0.0.1:{listener.getsockname()[1]}/0"
        with Limner(url, timeout=SHORT) as client:
            raised(errors.StoreUnavailable, "did not answer in time", lambda: client.submit("a"))
            raised(errors.StoreUnavailable, "did not answer in time", client.get("x").status)
        araised(errors.StoreUnavailable, "did not answer in time", lambda one: one.asubmit("a"), url)
        araised(errors.StoreUnavailable, "did not answer in time", lambda one: one.get("x").astatus(), url)


# A Redis in bad states


def wrong_password(url: str) -> None:
    parts = urlsplit(url)
    wrong = f"redis://:wrong@{parts.hostname}:{parts.port}/0"
    words = "refused the credentials; LIMNER_REDIS_URL"
    with Limner(wrong) as client:
        raised(errors.StoreUnavailable, words, lambda: client.submit("a"))
        raised(errors.StoreUnavailable, words, client.get("x").status)
    araised(errors.StoreUnavailable, words, lambda one: one.asubmit("a"), wrong)


def closed_connections(url: str) -> None:
    with redis.Redis.from_url(url, decode_responses=True) as admin, Limner(url) as client:

        def close_all() -> None:
            own = admin.client_id()
            for each in admin.client_list():
                if int(each["id"]) != own:
                    admin.client_kill_filter(_id=each["id"])

        job = client.submit("a kite", metadata={"order": 1})
        calls: list[Callable[[], object]] = [
            lambda: client.submit("another kite"),
            lambda: client.submit_many(["a", "b"]),
            job.status,
            job.log,
            client.spend,
        ]
        for call in calls:
            close_all()
            call()
        asyncio.run(_closed_connections(url, job.id, close_all))


async def _closed_connections(url: str, job_id: str, close_all: Callable[[], None]) -> None:
    async with Limner(url) as client:
        job = client.get(job_id)
        calls: list[Callable[[], Awaitable[object]]] = [
            lambda: client.asubmit("a third kite"),
            job.astatus,
            job.alog,
        ]
        for call in (job.astatus, *calls):
            await call()
            close_all()
        waiting = asyncio.create_task(job.aresult(PATIENCE))
        await asyncio.sleep(0)
        close_all()
        assert await job.acancel() is Cancellation.BEFORE_SENDING
        try:
            await waiting
        except errors.Cancelled as error:
            assert (error.job_id, error.charged) == (job.id, "no")
        else:
            raise AssertionError("a cancelled job has a result")


def unkept_and_refused_writes(url: str) -> None:
    with Limner(url, durability="disk") as client:
        raised(errors.NotDurable, "LIMNER_DURABILITY asks for", lambda: client.submit("a"))
    with redis.Redis.from_url(url) as admin, Limner(url) as client:
        job = client.submit("a")
        admin.config_set("maxmemory", 1)
        raised(errors.StoreUnavailable, "refuses to serve", lambda: client.submit("a"))
        raised(errors.StoreUnavailable, "refuses to serve", lambda: client.submit_many(["a", "b"]))
        araised(errors.StoreUnavailable, "refuses to serve", lambda one: one.asubmit("a"), url)
        admin.config_set("maxmemory", 0)
        for key in admin.scan_iter(f"*{job.id}"):
            if admin.type(key) in (b"hash", "hash"):
                admin.hset(key, "v", 99)
        raised(errors.RecordTooNew, "update this installation", job.status)
        raised(errors.RecordTooNew, "update this installation", job.cancel)


# A fleet


def images_of(job: Job, request: TextToImage) -> Images:
    images = job.result(PATIENCE)
    assert len(images.urls) == request.num_images
    assert (images.parameters, images.job_id) == (request, job.id)
    assert images.finished_at >= images.sent_at >= images.created_at
    return images


def jobs(url: str) -> None:
    with Limner(url) as client:
        job = client.submit(REQUEST, metadata={"order": [1, "zwei"]}, priority=9, lane="tenant-1")
        assert job.created
        images = images_of(job, REQUEST)
        assert images.metadata == {"order": [1, "zwei"]}
        assert Images.model_validate_json(images.model_dump_json()) == images
        status = job.status()
        assert (status.state, status.task_id) == (JobState.SUCCEEDED, images.task_id)
        assert status.tasks[0].credits == images.credits
        assert {entry.event for entry in job.log()} >= {"submitted", "succeeded"}
        for one in client.submit_many(["a kite", "a tower"], expires_in=PATIENCE):
            images_of(one, TextToImage(prompt=one.status().request["prompt"]))
        # Every release must write the same bytes for a request, or a repeated submit is a conflict.
        same = client.submit(REQUEST, idempotency_key="of all releases")
        images_of(same, REQUEST)
        assert client.submit(REQUEST, idempotency_key="of all releases") == same
        conflict = "already belongs to job"
        raised(
            errors.IdempotencyConflict,
            conflict,
            lambda: client.submit("another", idempotency_key="of all releases"),
        )
        raised(errors.UnknownJob, "no job", client.get("no-such-job").status)


def failures(url: str) -> None:
    with Limner(url) as client:
        refused = client.submit("a kite [fault:task_fail=moderation]")
        try:
            refused.result(PATIENCE)
        except errors.ModerationRefused as failure:
            assert failure.job_id == refused.id
            assert failure.advice
        else:
            raise AssertionError("a prompt that moderation refused has a result")
        assert refused.status().state is JobState.FAILED


def cancelled(url: str) -> None:
    with Limner(url) as client:
        client.pause(reason="the trial")
        try:
            job = client.submit("nobody sees this")
            [account] = client.accounts()
            assert account.pause
            assert account.pause.message == "the trial"
            assert job.status().state is JobState.QUEUED
            raised(errors.WaitTimeout, "is still queued", lambda: job.result(0.1))
            assert job.cancel() is Cancellation.BEFORE_SENDING
            raised(errors.Cancelled, "before it was sent", job.result)
        finally:
            assert client.resume()
        assert client.spend().days
        assert (client.doubts(), client.broken(), client.unmatched_callbacks()) == ([], [], [])
        assert sum(client.callback_counts().values()) > 0


def events(url: str) -> None:
    with Limner(url) as client:
        stream: Iterator[limner.Event] = client.events(from_start=True)
        job = client.submit("a kite for the stream", metadata={"order": 3})
        seen = list(_until(stream, job.id))
        assert seen[0].metadata == {"order": 3}
        told = [
            event.event for event in client.events(from_start=True, follow=False) if event.job_id == job.id
        ]
        assert told == [event.event for event in seen]


def _until(stream: Iterator[limner.Event], job_id: str) -> Iterator[limner.Event]:
    for event in stream:
        if event.job_id == job_id:
            yield event
            if event.event == "succeeded":
                return


def asynchronous(url: str) -> None:
    asyncio.run(_asynchronous(url))


async def _asynchronous(url: str) -> None:
    async with Limner(url) as client:
        stream = client.aevents()
        first = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(SHORT)
        made = [await client.asubmit(f"kite {number}") for number in range(5)]
        made += await client.asubmit_many(["a tower", "a bridge"])
        results = await asyncio.gather(*(job.aresult(PATIENCE) for job in made))
        assert [images.job_id for images in results] == [job.id for job in made]
        assert (await first).job_id in {job.id for job in made}
        await stream.aclose()  # type: ignore[attr-defined]
        assert (await made[0].astatus()).state is JobState.SUCCEEDED
        assert await made[0].acancel() is Cancellation.ALREADY_ENDED
        assert (await client.aaccounts())[0].account == "main"
        refused = await client.asubmit("a kite [fault:task_fail=sensitive]")
        try:
            await refused.wait(PATIENCE)
        except errors.JobFailed as failure:
            assert failure.job_id == refused.id
        else:
            raise AssertionError("a prompt that was refused has a result")


@contextmanager
def timed(name: str, seconds: dict[str, float]) -> Iterator[None]:
    began = time.monotonic()
    yield
    seconds[name] = round(time.monotonic() - began, 2)


def main(fleet: str, other: str) -> None:
    """Do everything; prints the releases that were tried, and the seconds that each part took."""
    seconds: dict[str, float] = {}
    for alone in (wrong_urls, refused_input, redis_is_down, redis_is_silent):
        with timed(alone.__name__, seconds):
            alone()
    for bad in (wrong_password, closed_connections, unkept_and_refused_writes):
        with timed(bad.__name__, seconds):
            bad(other)
    for good in (jobs, failures, cancelled, events, asynchronous):
        with timed(good.__name__, seconds):
            good(fleet)
    told = {"limner": limner.__version__, "redis": redis.__version__, "pydantic": pydantic.VERSION}
    print(json.dumps({**told, "from": limner.__file__, "seconds": seconds}))


if __name__ == "__main__":
    main(*sys.argv[1:])
