"""10,000 waits in one event loop, and 200 threads that wait, in one process each: connections, reads, delays.

No fleet runs: another process ends the jobs, at a steady rate, as workers would. The delay of an end is the
time from the reply to the call that ended the job to the moment at which its wait returns.
"""

import asyncio
import multiprocessing
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

from bench.report import quantile, table
from limner import Job, JobFailed, Limner
from limner._redis import connect
from sandbox.local.valkey import EmbeddedValkey

LOOP_WAITS: Final = 10_000
THREADS: Final = 200
RATE: Final = 100.0
"""Ends a second."""
BATCH: Final = 500
NAME: Final = "waits"
HEADER: Final = (
    "waits",
    "connections",
    "begun within, s",
    "errors",
    "told late by p50, ms",
    "p99",
    "max",
    "records read a wait",
    "commands sent a wait",
    "CPU a wait, ms",
)


@dataclass
class Told:
    """The ends of waits: when each was told, by job, and in which error."""

    at: dict[str, float] = field(default_factory=dict)
    errors: Counter[str] = field(default_factory=Counter)

    def take(self, job: Job, error: BaseException | None) -> None:
        """Note the end of a wait."""
        self.at[job.id] = time.time()
        if not isinstance(error, JobFailed):
            self.errors[type(error).__name__] += 1


def run() -> Iterator[str]:
    """The table."""
    yield (
        f"Jobs end at {RATE:.0f} a second, by another process. Connections are the most that Redis saw of a "
        "process that waits. Reads are HGETALL, counted by Redis, without those of scripts.\n"
    )
    yield from table(HEADER, [_in_loop(), _in_threads()])


def _in_loop() -> list[object]:
    with EmbeddedValkey() as valkey:
        return asyncio.run(_loop(valkey.url))


async def _loop(url: str) -> list[object]:
    async with Limner(f"{url}?client_name={NAME}") as limner:
        jobs: list[Job] = []
        for first in range(0, LOOP_WAITS, BATCH):
            prompts = [f"boat {number}" for number in range(first, first + BATCH)]
            jobs += await limner.asubmit_many(prompts)
        told = Told()

        async def wait(job: Job) -> None:
            try:
                await job.aresult(1_000)
            except Exception as error:
                told.take(job, error)

        watch = _Watch(url, len(jobs))
        waits = [asyncio.create_task(wait(job)) for job in jobs]
        begun = await asyncio.to_thread(watch.begun)
        ended = await asyncio.to_thread(watch.ended, [job.id for job in jobs])
        await asyncio.wait(waits, timeout=60)
        return watch.row(f"{LOOP_WAITS:,} in one loop", begun, ended, told)


def _in_threads() -> list[object]:
    with (
        EmbeddedValkey() as valkey,
        Limner(f"{valkey.url}?client_name={NAME}") as limner,
        ThreadPoolExecutor(THREADS) as pool,
    ):
        told = Told()
        # All threads submit at once, too.
        jobs = list(pool.map(limner.submit, [f"boat {number}" for number in range(THREADS)]))

        def wait(job: Job) -> None:
            try:
                job.result(1_000)
            except Exception as error:
                told.take(job, error)

        watch = _Watch(valkey.url, len(jobs))
        waits = [pool.submit(wait, job) for job in jobs]
        begun = watch.begun()
        ended = watch.ended([job.id for job in jobs])
        for each in waits:
            each.result(60)
        return watch.row(f"{THREADS} in threads", begun, ended, told)


class _Watch:
    """The server's view of the process that waits."""

    def __init__(self, url: str, waits: int) -> None:
        self._url = url
        self._waits = waits
        self._client: Any = connect(url, timeout=60.0)
        self._connections = 0
        self._over = threading.Event()
        self._cpu = time.process_time()
        self._before = self._calls()

    def _calls(self) -> Counter[str]:
        return Counter(
            {
                name.removeprefix("cmdstat_"): counted["calls"]
                for name, counted in self._client.info("commandstats").items()
            }
        )

    def begun(self) -> float:
        """Wait until all waits are subscribed; returns the seconds."""
        began = time.monotonic()
        while len(self._client.pubsub_channels()) <= self._waits:
            self._count()
            time.sleep(0.05)
        took = time.monotonic() - began
        reads = self._before["hgetall"] + self._waits
        while self._calls()["hgetall"] < reads:
            time.sleep(0.05)
        return took

    def _count(self) -> None:
        seen = sum(each["name"] == NAME for each in self._client.client_list())
        self._connections = max(self._connections, seen)

    def ended(self, job_ids: Sequence[str]) -> dict[str, float]:
        """Have another process end the jobs; returns when it had."""
        self._begun = self._calls() - self._before
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            ending = pool.apply_async(_end, (self._url, list(job_ids), RATE))
            while not ending.ready():
                self._count()
                ending.wait(0.2)
            return ending.get()

    def row(self, name: str, begun: float, ended: dict[str, float], told: Told) -> list[object]:
        """The row of the table."""
        cpu = time.process_time() - self._cpu
        calls = self._calls() - self._before
        # Each end is one script, whose calls are the same for all jobs.
        own = {name: calls[name] for name in ("subscribe", "unsubscribe", "hgetall", "time", "ping")}
        scripts = _calls_of_an_end(self._url)
        reads = own["hgetall"] - self._waits * scripts["hgetall"]
        sent = sum(own.values()) - self._waits * (scripts["hgetall"] + scripts["time"])
        lags = [1000 * max(0.0, told.at[job_id] - at) for job_id, at in ended.items() if job_id in told.at]
        missing = self._waits - len(told.at)
        self._client.close()
        return [
            name,
            self._connections,
            begun,
            sum(told.errors.values()) + missing,
            *(quantile(lags, q) for q in (0.5, 0.99)),
            max(lags),
            reads / self._waits,
            sent / self._waits,
            1000 * cpu / self._waits,
        ]


def _calls_of_an_end(url: str) -> Counter[str]:
    """The commands that the script makes by which a job ends."""
    with Limner(url) as limner, connect(url) as client:
        watch: Any = client
        job = limner.submit("one more")

        def calls() -> Counter[str]:
            found = watch.info("commandstats")
            return Counter(
                {name: found.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("hgetall", "time")}
            )

        before = calls()
        job.cancel()
        return calls() - before


def _end(url: str, job_ids: list[str], rate: float) -> dict[str, float]:
    """Cancel the jobs at a steady rate; returns when each had ended."""
    ended = {}
    began = time.monotonic()
    with Limner(url) as limner:
        for number, job_id in enumerate(job_ids):
            time.sleep(max(0.0, began + number / rate - time.monotonic()))
            limner.get(job_id).cancel()
            ended[job_id] = time.time()
    return ended
