"""The cost of a long queue of waiting jobs: memory, claims, an urgent job's wait, and an idle worker's CPU.

One Valkey has a growing queue, and another one has lanes. Claims are made as a worker's dispatcher makes
them, and given back at once, so that the queue keeps its length. Urgent jobs go through a real worker whose
account has one permit at a time: they must take the next permit, however long the queue is.
"""

import os
import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import cache
from multiprocessing import get_context
from random import Random
from typing import Any, Final

import psutil

from bench.report import quantile, table
from limner import Limner, TextToImage
from limner._redis import connect
from limner.ledger import Ledger, Quota
from limner.submission import prepare
from sandbox.kie.server import SandboxProvider
from sandbox.local.fleet import LocalFleet
from sandbox.local.valkey import EmbeddedValkey

MOST: Final = int(os.environ.get("BENCH_BACKLOG_JOBS", "1000000"))
SIZES: Final = tuple(sorted({min(size, MOST) for size in (1_000, 100_000, 1_000_000)}))
WATCHED: Final = (0, min(100_000, MOST))
"""The queue lengths at which an idle worker's CPU is measured."""
CHUNK: Final = 1000
LANES: Final = 1000
CLAIMS: Final = 500
GRANTS: Final = 5
"""The free permits of each claim."""
URGENT: Final = 50
INTERVAL: Final = 0.3
"""Seconds between two permits, without the margin."""
IDLE_SECONDS: Final = 20.0
PATIENCE: Final = 120.0
COSTS: Final = (
    "jobs in the queue",
    "lanes",
    "bytes a job",
    f"claim of {GRANTS}: p50",
    "p99",
    "claim without a free permit: p50",
    "p99",
)
URGENT_HEAD: Final = (
    "jobs in the queue",
    "p50, ms",
    "p99, ms",
    "p99, in permit intervals",
    "others sent before one: most",
    f"before all {URGENT}",
)
PROMPT: Final = (
    "A watercolour of a red kite over a harbour at dawn, fishing boats coming in, gulls behind them, low "
    "golden light on wet planks, soft washes and a rough paper, number"
)


def run() -> Iterator[str]:
    """The tables."""
    costs: list[list[object]] = []
    urgent: list[list[object]] = []
    idle: list[list[object]] = []
    with _Backlog(lanes=0) as backlog:
        for size in sorted({0, *SIZES}):
            backlog.fill_to(size)
            if size:
                costs.append(backlog.costs())
            backlog.start_worker()
            urgent.append(backlog.urgent())
            backlog.pause()
            if size in WATCHED:
                idle.append(backlog.idle())
            backlog.stop_worker()
    yield f"A prompt of {len(PROMPT)} characters; {CLAIMS} claims of each kind, milliseconds.\n"
    yield from table(COSTS, costs)
    yield (
        f"\n{URGENT} jobs of priority 9, one worker, one permit each {INTERVAL} s and the margin; from "
        "submit to the POST's arrival. With nothing else in the queue, the permit is free:\n"
    )
    yield from table(URGENT_HEAD, urgent)
    yield f"\nThe account paused by hand; user and system time in {IDLE_SECONDS:.0f} s, % of a core:\n"
    yield from table(["jobs in the queue", "worker", "Valkey"], idle)
    yield f"\nThe same queue in {LANES:,} lanes:\n"
    costs = []
    with _Backlog(lanes=LANES) as backlog:
        for size in SIZES:
            backlog.fill_to(size)
            costs.append(backlog.costs())
    yield from table(COSTS, costs)


class _Backlog(ExitStack):
    """A fleet without a worker at first, and its queue of waiting jobs."""

    def __init__(self, *, lanes: int) -> None:
        super().__init__()
        self._lanes = lanes
        self._filled = 0
        self._random = Random(1974)
        settings = {
            "LIMNER_RATE_REQUESTS": "1",
            "LIMNER_RATE_SECONDS": str(INTERVAL),
            "LIMNER_RATE_MARGIN_SECONDS": "0.01",
            "LIMNER_READS_PER_SECOND": "1000",
        }
        self._fleet = self.enter_context(
            LocalFleet(
                workers=0,
                settings=settings,
                provider=SandboxProvider(duration=0.1, creates=0, reads=0),
                valkey=EmbeddedValkey(aof=True),
                log_level="WARNING",
            )
        )
        self._client: Any = self.enter_context(connect(self._fleet.redis_url, timeout=60.0))
        self._ledger = Ledger(self._client)
        self._producer = self.enter_context(Limner(self._fleet.redis_url))
        self._bytes_a_job = 0.0
        self._producer.submit("a first boat: with it, the scripts are loaded")

    def fill_to(self, size: int) -> None:
        """Submit the missing jobs, in chunks, from separate processes."""
        if self._filled == size:
            return
        before = self._used()
        with ProcessPoolExecutor(max_workers=2, mp_context=get_context("spawn")) as pool:
            chunk = min(CHUNK, size - self._filled)
            starts = range(self._filled, size, chunk)
            chunks = [pool.submit(_submit, self._fleet.redis_url, at, chunk, self._lanes) for at in starts]
            for submitted in chunks:
                submitted.result()
        count = chunk * len(starts)
        self._filled += count
        # The fork and the disk writes of a rewrite would distort the measurement.
        while self._client.info("persistence")["aof_rewrite_in_progress"]:
            time.sleep(0.2)
        self._bytes_a_job = (self._used() - before) / count

    def _used(self) -> int:
        return int(self._client.info("memory")["used_memory"])

    def costs(self) -> list[object]:
        """The row of bytes a job and claim times."""
        granted = self._claims(Quota(GRANTS, 1.0, 10, 1.0, 1_000_000), GRANTS)
        # The only permit is taken and kept, so that none becomes free during the measurement.
        single = Quota(1, 3600.0, 10, 1.0, 1_000_000)
        held = self._ledger.queue.claim(single).steps
        refused = self._claims(single, 0)
        self._ledger.queue.give_back(held)
        marks = [1000 * quantile(times, q) for times in (granted, refused) for q in (0.5, 0.99)]
        return [f"{self._filled:,}", self._lanes or 1, round(self._bytes_a_job), *marks]

    def _claims(self, quota: Quota, expected: int) -> list[float]:
        times = []
        for _ in range(CLAIMS):
            began = time.perf_counter()
            steps = self._ledger.queue.claim(quota).steps
            times.append(time.perf_counter() - began)
            assert len(steps) == expected, f"{len(steps)} steps were granted, not {expected}"
            self._ledger.queue.give_back(steps)
        return times

    def start_worker(self) -> None:
        """Start one worker."""
        self._fleet.start_worker()

    def pause(self) -> None:
        """Pause the account, and wait until all sent jobs have ended in the ledger."""
        self._producer.pause(reason="measured")
        deadline = time.monotonic() + PATIENCE
        while self._producer.accounts()[0].in_flight and time.monotonic() < deadline:
            time.sleep(0.2)

    def stop_worker(self) -> None:
        """Stop the worker in an orderly way, and resume the account for the next one."""
        self._fleet.workers[-1].child.stop(15)
        self._ledger.accounts.resume("main")

    def urgent(self) -> list[object]:
        """The row of urgent jobs' waits."""
        witness = self._fleet.provider
        assert witness
        seen = _number_of_calls(witness)
        submitted: dict[str, float] = {}
        for number in range(URGENT):
            # At a random moment between two permits, and so seldom that urgent jobs do not wait for each
            # other.
            time.sleep(INTERVAL * (1.5 + self._random.random()))
            prompt = f"urgent {self._filled} {number}"
            submitted[prompt] = 1000 * time.time()
            self._producer.submit(prompt, priority=9)
        time.sleep(2.0)
        calls = [call for call in witness.calls(after=seen) if call["endpoint"] == "createTask"]
        arrivals = {call["task_id"]: call["at_ms"] for call in calls}
        others = sorted(call["at_ms"] for call in calls)
        waits, before = [], []
        for task in witness.ledger():
            if (begun := submitted.get(task["input"]["prompt"])) is None:
                continue
            arrived = arrivals[task["task_id"]]
            waits.append(arrived - begun)
            before.append(_between(others, begun, arrived))
        assert len(waits) == URGENT, f"{len(waits)} of {URGENT} urgent jobs were sent"
        return [
            f"{self._filled:,}",
            *(quantile(waits, q) for q in (0.5, 0.99)),
            quantile(waits, 0.99) / (1000 * INTERVAL),
            max(before),
            sum(before),
        ]

    def idle(self) -> list[object]:
        """The row of the CPU of a worker that may send nothing."""
        assert self._fleet.valkey
        processes = [psutil.Process(pid) for pid in (self._fleet.workers[-1].pid, self._fleet.valkey.pid)]
        before = [sum(process.cpu_times()[:2]) for process in processes]
        time.sleep(IDLE_SECONDS)
        used = [
            sum(process.cpu_times()[:2]) - since for process, since in zip(processes, before, strict=True)
        ]
        return [f"{self._filled:,}", *(100 * seconds / IDLE_SECONDS for seconds in used)]


@cache
def _ledger(url: str) -> Ledger:
    return Ledger(connect(url, timeout=60.0))


def _submit(url: str, start: int, count: int, lanes: int) -> None:
    _ledger(url).jobs.submit_many(
        [
            prepare(
                TextToImage(prompt=f"{PROMPT} {number}"), lane=f"tenant {number % lanes}" if lanes else None
            )
            for number in range(start, start + count)
        ]
    )


def _number_of_calls(witness: SandboxProvider) -> int:
    calls = witness.calls()
    return int(calls[-1]["number"]) if calls else 0


def _between(moments: Sequence[float], begin: float, end: float) -> int:
    """The number of sorted ``moments`` between ``begin`` and ``end``."""
    return max(0, bisect_right(moments, end) - 1 - bisect_right(moments, begin))
