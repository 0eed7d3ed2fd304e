"""Waits of many threads and event loops on one connection, on a real Valkey."""

import asyncio
import gc
import os
import threading
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
import redis

from limner import Cancelled, Job, Limner, StoreUnavailable, UnknownJob, WaitTimeout
from limner.subscription import Subscription
from limner.waiting import Patience
from limner.watches import Watches
from sandbox.local.valkey import EmbeddedValkey
from tests.conftest import eventually

PATIENCE = 20.0
MANY = 2_000


class Server:
    """The server's view of a producer, whose connections have a name."""

    def __init__(self, url: str) -> None:
        self.client: Any = redis.Redis.from_url(url, decode_responses=True)
        self.url = f"{url}?client_name=producer"

    def connections(self) -> int:
        return sum(each["name"] == "producer" for each in self.client.client_list())

    def channels(self) -> int:
        """Jobs that are waited for."""
        return max(0, len(self.client.pubsub_channels()) - 1)

    def records_read(self) -> int:
        return int(self.client.info("commandstats").get("cmdstat_hgetall", {"calls": 0})["calls"])


@pytest.fixture
def server(valkey_url: str) -> Iterator[Server]:
    server = Server(valkey_url)
    # Those of the test before are gone.
    eventually(lambda: server.connections() == 0)
    with server.client:
        yield server


@pytest.fixture
def operator(valkey_url: str) -> Iterator[Limner]:
    """A client that ends jobs."""
    with Limner(valkey_url) as limner:
        yield limner


def outcome(job: Job, timeout: float | None = PATIENCE) -> str:
    try:
        job.result(timeout)
    except Exception as error:
        return type(error).__name__
    return "succeeded"


async def aoutcome(job: Job, timeout: float | None = PATIENCE) -> str:
    try:
        await job.aresult(timeout)
    except Exception as error:
        return type(error).__name__
    return "succeeded"


# Bounds


def test_many_waits_of_a_loop_hold_two_connections_and_read_twice_each(
    server: Server, operator: Limner
) -> None:
    async def backend() -> None:
        async with Limner(server.url) as limner:
            jobs = await limner.asubmit_many([f"fox {number}" for number in range(MANY)])
            [spare] = await limner.asubmit_many(["spare"])
            before = server.records_read()
            waits = [asyncio.create_task(aoutcome(job)) for job in jobs]
            await asyncio.to_thread(eventually, lambda: server.channels() == MANY)
            await asyncio.to_thread(eventually, lambda: server.records_read() - before >= MANY)
            begun = server.records_read()
            # Few are read again in case that a message was lost.
            assert begun - before <= MANY + 2 * Watches.FEW
            assert server.connections() <= 4
            operator.get(spare.id).cancel()
            by_script = server.records_read() - begun
            ending = server.records_read()
            for job in jobs:
                await asyncio.to_thread(operator.get(job.id).cancel)
            assert Counter(await asyncio.gather(*waits)) == {"Cancelled": MANY}
            assert server.records_read() - ending <= MANY * (1 + by_script) + 8 * Watches.FEW
            assert server.connections() <= 4

    asyncio.run(backend())
    eventually(lambda: server.connections() == 0)


def test_many_threads_wait_and_submit_on_four_connections(server: Server, operator: Limner) -> None:
    with Limner(server.url) as limner, ThreadPoolExecutor(200) as pool:
        jobs = list(pool.map(limner.submit, [f"fox {number}" for number in range(200)]))
        waits = [pool.submit(outcome, job) for job in jobs]
        eventually(lambda: server.channels() == 200)
        assert 2 <= server.connections() <= 4
        for job in jobs:
            operator.get(job.id).cancel()
        assert Counter(wait.result(PATIENCE) for wait in waits) == {"Cancelled": 200}
        assert sum(thread.name == "limner-waits" for thread in threading.enumerate()) == 1


# The ends of waits


def test_a_wait_is_told_at_once(operator: Limner, valkey_url: str) -> None:
    with Limner(valkey_url) as limner:
        job = limner.submit("a kite")
        threading.Timer(0.5, operator.get(job.id).cancel).start()
        began = time.monotonic()
        assert outcome(job) == "Cancelled"
        assert 0.5 <= time.monotonic() - began < 1.5
        assert outcome(job, 0) == "Cancelled"
        assert asyncio.run(aoutcome(job, 0)) == "Cancelled"


def test_an_unknown_job_is_told_at_once_and_one_without_an_end_in_time(valkey_url: str) -> None:
    with Limner(valkey_url, namespace="shop") as limner, Limner(valkey_url) as other:
        for job in (limner.get("nobody"), limner.get(other.submit("another's").id)):
            began = time.monotonic()
            with pytest.raises(UnknownJob):
                job.result(PATIENCE)
            with pytest.raises(UnknownJob):
                asyncio.run(job.aresult(PATIENCE))
            assert time.monotonic() - began < 1.0
        job = limner.submit("nobody comes")
        with pytest.raises(WaitTimeout, match=r"is still queued after 0.3 s"):
            job.result(0.3)
        for timeout in (0, 0.3):
            with pytest.raises(WaitTimeout):
                asyncio.run(job.aresult(timeout))


def test_a_broken_record_is_an_error_of_its_own_wait(server: Server, operator: Limner) -> None:
    with Limner(server.url) as limner, ThreadPoolExecutor(3) as pool:
        good, broken, wrong = limner.submit_many(["good", "broken", "wrong"])
        server.client.hset(limner._ledger.jobs.key(broken.id), "v", 999)
        server.client.set(limner._ledger.jobs.key(wrong.id), "no hash")
        waits = [pool.submit(outcome, job) for job in (good, broken, wrong)]
        assert waits[1].result(PATIENCE) == "RecordTooNew"
        assert waits[2].result(PATIENCE) == "ResponseError"
        operator.get(good.id).cancel()
        assert waits[0].result(PATIENCE) == "Cancelled"


def test_a_cancelled_wait_ends_and_is_forgotten(server: Server) -> None:
    async def backend() -> None:
        async with Limner(server.url) as limner:
            job = await limner.asubmit("nobody comes")
            waits = [asyncio.create_task(job.wait()) for _ in range(100)]
            for number, wait in enumerate(waits):
                await asyncio.sleep(0.001 * (number % 5))
                wait.cancel()
            done, pending = await asyncio.wait(waits, timeout=PATIENCE)
            assert not pending
            assert all(wait.cancelled() for wait in done)
            await asyncio.to_thread(eventually, lambda: server.channels() == 0)

    asyncio.run(backend())


def test_closing_ends_waits_and_the_client_may_be_used_again(server: Server, operator: Limner) -> None:
    limner = Limner(server.url)
    job = limner.submit("nobody comes")
    with ThreadPoolExecutor(1) as pool:
        wait = pool.submit(job.result)
        eventually(lambda: server.channels() == 1)
        limner.close()
        with pytest.raises(StoreUnavailable, match="closed"):
            wait.result(PATIENCE)
    eventually(lambda: server.connections() == 0)
    operator.get(job.id).cancel()
    assert outcome(job) == "Cancelled"
    limner.close()


def test_closing_in_a_loop_ends_the_waits_of_that_loop_alone(server: Server, operator: Limner) -> None:
    limner = Limner(server.url)
    job = limner.submit("a kite")

    async def backend() -> None:
        wait = asyncio.create_task(job.aresult())
        await asyncio.sleep(0)
        await limner.aclose()
        with pytest.raises(StoreUnavailable, match="closed"):
            await asyncio.wait_for(wait, PATIENCE)

    with ThreadPoolExecutor(1) as pool:
        wait = pool.submit(outcome, job)
        eventually(lambda: server.channels() == 1)
        asyncio.run(backend())
        operator.get(job.id).cancel()
        assert wait.result(PATIENCE) == "Cancelled"
    limner.close()


def test_the_thread_ends_when_nobody_has_waited_for_a_while(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Subscription, "IDLE", 0.3)
    with Limner(server.url) as limner:
        job = limner.submit("nobody comes")
        for _ in range(2):
            with pytest.raises(WaitTimeout):
                job.result(0.1)
            eventually(
                lambda: not any(thread.name == "limner-waits" for thread in threading.enumerate()), within=5.0
            )


# Redis is away


@pytest.mark.parametrize("in_loop", [False, True])
def test_a_redis_that_restarts_is_waited_for_from_the_first_call_on(in_loop: bool) -> None:
    with EmbeddedValkey(aof=True) as valkey, Limner(valkey.url, timeout=1.0) as limner:
        early, late = limner.submit_many(["early", "late"])
        with ThreadPoolExecutor(2) as pool, redis.Redis.from_url(valkey.url) as client:

            def begin(job: Job) -> Any:
                return pool.submit(asyncio.run, aoutcome(job)) if in_loop else pool.submit(outcome, job)

            waits = [begin(early)]
            eventually(lambda: client.pubsub_numsub(limner._ledger.journal.channel(early.id))[0][1] == 1)
            valkey.kill()
            # It begins while there is nobody to be asked.
            waits.append(begin(late))
            time.sleep(0.5)
            valkey.restart()
            with Limner(valkey.url) as operator:
                for job in (early, late):
                    operator.get(job.id).cancel()
            assert [wait.result(PATIENCE) for wait in waits] == ["Cancelled"] * 2


def test_a_redis_that_stays_away_ends_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Patience, "OUTAGE", 1.0)
    with Limner("redis://127.0.0.1:1/0", timeout=1.0) as limner:
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match="cannot be reached"):
            limner.get("a").result()
        assert 1.0 <= time.monotonic() - began < 5.0
        with pytest.raises(StoreUnavailable):
            asyncio.run(limner.get("a").aresult(0.5))
        with pytest.raises(StoreUnavailable):
            limner.get("a").result(0)


def test_a_lost_subscription_is_made_anew_and_nothing_is_missed(server: Server, operator: Limner) -> None:
    with Limner(server.url) as limner, ThreadPoolExecutor(2) as pool:
        first, second = limner.submit_many(["a", "b"])
        waits = [pool.submit(outcome, job) for job in (first, second)]
        eventually(lambda: server.channels() == 2)
        server.client.client_kill_filter(_type="pubsub")
        operator.get(first.id).cancel()
        assert waits[0].result(2.0) == "Cancelled"
        eventually(lambda: server.channels() == 1)
        operator.get(second.id).cancel()
        assert waits[1].result(2.0) == "Cancelled"


def test_who_may_not_subscribe_is_told_all_the_same(valkey_url: str, operator: Limner) -> None:
    address = valkey_url.rpartition("@")[2]
    with redis.Redis.from_url(valkey_url) as client:
        client.execute_command("ACL", "SETUSER", "deaf", "on", ">pw", "~*", "&none", "+@all")
        try:
            with Limner(f"redis://deaf:pw@{address}") as limner, ThreadPoolExecutor(1) as pool:
                with pytest.raises(UnknownJob):
                    limner.get("nobody").result(PATIENCE)
                job = operator.submit("a kite")
                wait = pool.submit(outcome, limner.get(job.id))
                time.sleep(0.2)
                operator.get(job.id).cancel()
                assert wait.result(Patience.RECHECK + 2.0) == "Cancelled"
        finally:
            client.acl_deluser("deaf")


# Loops and processes that come and go


def test_loops_that_come_and_go_leave_no_connection(server: Server) -> None:
    limner = Limner(server.url)
    job = limner.submit("nobody comes")
    limner._redis.connection_pool.disconnect()

    async def request() -> None:
        assert (await job.astatus()).position == 1
        with suppress(WaitTimeout):
            await job.aresult(0.01)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        for _ in range(20):
            asyncio.run(request())
            # What is left are the connections of waits.
            eventually(lambda: server.connections() <= 2)
        limner.close()
        gc.collect()
    eventually(lambda: server.connections() == 0)
    assert [str(each.message) for each in caught if issubclass(each.category, ResourceWarning)] == []


def test_a_loop_that_closes_without_a_farewell_loses_its_connections_with_the_next_one(
    server: Server,
) -> None:
    limner = Limner(server.url)
    job = limner.submit("nobody comes")
    limner._redis.connection_pool.disconnect()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        for _ in range(5):
            loop = asyncio.new_event_loop()
            loop.run_until_complete(job.astatus())
            loop.close()
            eventually(lambda: server.connections() == 1)
        limner.close()
        eventually(lambda: server.connections() == 0)
        gc.collect()
    assert [str(each.message) for each in caught if issubclass(each.category, ResourceWarning)] == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_process_that_forks_begins_anew(server: Server, operator: Limner) -> None:
    with Limner(server.url) as limner, ThreadPoolExecutor(1) as pool:
        mine, forked = limner.submit_many(["mine", "the child's"])
        wait = pool.submit(outcome, mine)
        eventually(lambda: server.channels() == 1)
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                told = [
                    outcome(forked, 10.0),
                    asyncio.run(aoutcome(forked)),
                    str(asyncio.run(forked.acancel())),
                ]
                code = 0 if told == ["Cancelled", "Cancelled", "before_sending"] else 2
                limner.close()
            finally:
                os._exit(code)
        eventually(lambda: server.channels() == 2)
        operator.get(forked.id).cancel()
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        operator.get(mine.id).cancel()
        assert wait.result(PATIENCE) == Cancelled.__name__
