"""Calls that block, in the threads of a client, on a real Valkey."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import redis

from limner import Cancellation, JobState, Limner, StoreUnavailable
from limner._redis import connect_async
from limner.loops import THREADS, EventLoops
from sandbox.local.valkey import EmbeddedValkey

PATIENCE = 15.0


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def writes_held(url: str) -> AsyncIterator[None]:
    """Meanwhile, Redis answers nobody who writes."""
    with redis.Redis.from_url(url) as client:
        client.client_pause(60_000, all=False)
        try:
            yield
        finally:
            client.client_unpause()


def threads() -> int:
    return sum(thread.name.startswith("limner_") for thread in threading.enumerate())


def waiting(limner: Limner) -> int:
    """Calls for which no thread was free yet."""
    return limner._loops._threads._work_queue.qsize()


def test_calls_in_threads_leave_the_event_loop_alone_and_are_few(valkey_url: str) -> None:
    async def backend() -> None:
        async with Limner(valkey_url) as limner:
            jobs = limner.submit_many([f"fox {number}" for number in range(3 * THREADS)])
            turns = 0
            async with writes_held(valkey_url):
                calls = [asyncio.create_task(job.acancel()) for job in jobs]
                await until(lambda: threads() == THREADS and waiting(limner) == 2 * THREADS)
                for turns in range(1, 50):  # noqa: B007 - counted below
                    # An asynchronous call of Redis does not wait for a thread.
                    assert (await jobs[0].astatus()).state is JobState.QUEUED
                assert not any(call.done() for call in calls)
                assert threads() == THREADS
            assert turns == 49
            assert {await call for call in calls} == {Cancellation.BEFORE_SENDING}

    asyncio.run(backend())


def test_a_call_that_is_cancelled_in_time_is_not_made_and_one_that_has_begun_is(valkey_url: str) -> None:
    async def backend() -> None:
        async with Limner(valkey_url) as limner:
            begun, in_time = limner.submit_many([f"fox {n}" for n in range(THREADS)]), limner.submit("late")
            async with writes_held(valkey_url):
                calls = [asyncio.create_task(job.acancel()) for job in [*begun, in_time]]
                await until(lambda: waiting(limner) == 1)
                for call in calls:
                    call.cancel()
                await asyncio.wait(calls, timeout=PATIENCE)
                assert all(call.cancelled() for call in calls)
            await limner.aclose()
            assert {job.status().state for job in begun} == {JobState.CANCELLED}
            assert in_time.status().state is JobState.QUEUED

    asyncio.run(backend())


def test_closing_waits_for_calls_and_the_client_may_be_used_again(valkey_url: str) -> None:
    async def backend() -> None:
        limner = Limner(valkey_url)
        job = await limner.asubmit("a")
        async with writes_held(valkey_url):
            call = asyncio.create_task(job.acancel())
            await until(lambda: threads() == 1 and not waiting(limner))
            closing = asyncio.create_task(limner.aclose())
            await asyncio.sleep(0.2)
            assert not closing.done()
        await asyncio.wait_for(closing, PATIENCE)
        assert await call is Cancellation.BEFORE_SENDING
        assert threads() == 0
        assert (await job.astatus()).state is JobState.CANCELLED
        assert [entry.event for entry in await job.alog()] == ["submitted", "cancelled"]
        await limner.aclose()
        assert threads() == 0

    asyncio.run(backend())


def test_a_call_in_a_thread_raises_what_the_blocking_one_does() -> None:
    async def backend() -> None:
        async with Limner("redis://127.0.0.1:1/0", timeout=1.0) as limner:
            job = limner.get("j")
            asked: list[Callable[[], Awaitable[object]]] = [
                job.astatus,
                job.acancel,
                job.alog,
                limner.adoubts,
            ]
            for ask in asked:
                with pytest.raises(StoreUnavailable):
                    await ask()

    asyncio.run(backend())


def test_any_number_of_calls_waits_for_as_long_as_others_are_answered(valkey_url: str) -> None:
    loops = EventLoops(lambda: connect_async(valkey_url, timeout=1.0, connections=1))

    async def slowly(client: Any) -> bool:
        await asyncio.sleep(0.2)
        answer: bool = await client.ping()
        return answer

    async def backend() -> None:
        began = time.monotonic()
        assert all(await asyncio.gather(*(loops.call(slowly) for _ in range(10))))
        # The pool itself would have given up.
        assert time.monotonic() - began > 1.0
        await loops.aclose()

    asyncio.run(backend())


def test_calls_that_wait_end_with_a_redis_that_answers_nobody() -> None:
    async def backend() -> None:
        with EmbeddedValkey() as valkey:
            async with Limner(valkey.url, timeout=0.5) as limner:
                job = await limner.asubmit("a")
                valkey.pause()
                try:
                    began = time.monotonic()
                    calls = (job.astatus() for _ in range(100))
                    told = await asyncio.gather(*calls, return_exceptions=True)
                    assert {type(error) for error in told} == {StoreUnavailable}
                    assert time.monotonic() - began < 5.0
                finally:
                    valkey.resume()
                assert (await job.astatus()).state is JobState.QUEUED

    asyncio.run(backend())


def test_a_call_that_is_cancelled_passes_its_turn_on(valkey_url: str) -> None:
    async def backend() -> None:
        async with Limner(valkey_url, connections=2) as limner:
            job = await limner.asubmit("a")
            for number in range(50):
                calls = [asyncio.create_task(job.astatus()) for _ in range(10)]
                for call in calls[number % 10 : 10 : 3]:
                    await asyncio.sleep(0.0005 * (number % 7))
                    call.cancel()
                done, pending = await asyncio.wait(calls, timeout=PATIENCE)
                assert not pending
                assert all(call.cancelled() or call.result() for call in done)
            assert (await asyncio.wait_for(job.astatus(), PATIENCE)).position == 1

    asyncio.run(backend())
