"""The operator's side for asynchronous code, on a real Valkey."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor, wait

import pytest

from limner import Event, InvalidRequest, Limner, StoreUnavailable
from limner.ledger import Ledger
from limner.waiting import Patience
from sandbox.local.valkey import EmbeddedValkey

PATIENCE = 15.0


def test_operators_see_and_do_the_same(url: str, ledger: Ledger) -> None:
    async def backend() -> None:
        async with Limner(url) as limner:
            ledger.jobs.called_back("nobody", "token", "task-1")
            assert await limner.aunmatched_callbacks() == limner.unmatched_callbacks() != []
            assert await limner.acallback_counts() == {"unknown_job": 1}
            await limner.apause(seconds=60, reason="so")
            [account] = await limner.aaccounts()
            assert account.pause
            assert account.pause.message == "so"
            assert [await limner.aresume(), await limner.aresume()] == [True, False]
            assert await limner.aspend(days=2) == limner.spend(2)
            with pytest.raises(InvalidRequest, match="seconds: must be a number of seconds above 0"):
                await limner.apause(seconds=0)
            with pytest.raises(InvalidRequest, match="account: there is no 'north'"):
                await limner.aresume("north")

    asyncio.run(backend())


async def collect(events: AsyncIterator[Event], count: int) -> list[str]:
    found: list[str] = []
    async for event in events:
        found.append(event.job_id)
        if len(found) == count:
            break
    return found


def test_the_events_of_the_past_end(valkey_url: str) -> None:
    async def backend() -> None:
        async with Limner(valkey_url) as limner:
            jobs = limner.submit_many([f"fox {number}" for number in range(250)])
            seen = [event async for event in limner.aevents(from_start=True, follow=False)]
            assert [event.job_id for event in seen] == [job.id for job in jobs]
            assert seen == [*limner.events(from_start=True, follow=False)]
            assert [event async for event in limner.aevents(follow=False)] == []

    asyncio.run(backend())


def test_more_followers_than_connections_leave_room_for_submits(valkey_url: str) -> None:
    async def backend() -> None:
        async with Limner(valkey_url) as limner:
            old = await limner.asubmit("old")
            followers = [asyncio.create_task(collect(limner.aevents(from_start=True), 3)) for _ in range(100)]
            jobs = [old, await limner.asubmit("new"), await limner.asubmit("newer")]
            async with asyncio.timeout(PATIENCE):
                told = await asyncio.gather(*followers)
            assert told == [[job.id for job in jobs]] * 100

    asyncio.run(backend())


def test_a_follower_that_is_cancelled_ends(valkey_url: str) -> None:
    async def backend() -> None:
        async with Limner(valkey_url) as limner:
            followers = [asyncio.create_task(collect(limner.aevents(), 1)) for _ in range(50)]
            for number, follower in enumerate(followers):
                await asyncio.sleep(0.002 * (number % 7))
                follower.cancel()
            done, pending = await asyncio.wait(followers, timeout=PATIENCE)
            assert not pending
            assert all(follower.cancelled() for follower in done)

    asyncio.run(backend())


def test_a_follower_bears_an_outage_and_not_a_long_one(monkeypatch: pytest.MonkeyPatch) -> None:
    async def backend() -> None:
        with EmbeddedValkey() as valkey:
            async with Limner(valkey.url, timeout=1.0) as limner:
                follower = asyncio.create_task(collect(limner.aevents(from_start=True), 1))
                await asyncio.sleep(0.1)
                valkey.kill()
                await asyncio.sleep(0.3)
                assert not follower.done()
                valkey.restart()
                job = await limner.asubmit("after")
                assert await asyncio.wait_for(follower, PATIENCE) == [job.id]
                monkeypatch.setattr(Patience, "OUTAGE", 1.0)
                follower = asyncio.create_task(collect(limner.aevents(), 1))
                await asyncio.sleep(0.1)
                valkey.kill()
                with pytest.raises(StoreUnavailable):
                    await asyncio.wait_for(follower, PATIENCE)

    asyncio.run(backend())


def test_followers_that_begin_while_redis_is_away_wait_for_it() -> None:
    with EmbeddedValkey(aof=True) as valkey, Limner(valkey.url, timeout=0.5) as limner:
        old = limner.submit("before")
        valkey.kill()

        def follow() -> str:
            return next(limner.events(from_start=True)).job_id

        def follow_asynchronously() -> str:
            return asyncio.run(collect(limner.aevents(from_start=True), 1))[0]

        with ThreadPoolExecutor(2) as pool:
            followers = [pool.submit(follow), pool.submit(follow_asynchronously)]
            done, _ = wait(followers, timeout=1.0)
            assert not done
            valkey.restart()
            assert [follower.result(PATIENCE) for follower in followers] == [old.id] * 2
