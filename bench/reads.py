"""The reads of 300 concurrent tasks without callbacks, under the provider's limit of 10 reads a second.

Every end is found by a poll. For most of the run more polls are due than the limit allows, so the bench
measures the ready queue of polls. The stand-in counts and logs each read on its arrival.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, Final

from bench.report import quantile, table
from limner import Limner
from sandbox.kie.server import SandboxProvider
from sandbox.local.fleet import LocalFleet
from sandbox.local.valkey import EmbeddedValkey

JOBS: Final = 300
READS: Final = 10
MEDIAN: Final = 40.0
SIGMA: Final = 0.3
WORKERS: Final = 2
LATENCIES: Final = (0.0, 0.3)
PATIENCE: Final = 600.0
SAMPLED: Final = 0.1
"""Seconds between two samples of the number of jobs that wait for a read."""


def run() -> Iterator[str]:
    """The tables."""
    with ThreadPoolExecutor(max_workers=len(LATENCIES)) as pool:
        runs = list(pool.map(_run, LATENCIES))
    yield (
        f"{JOBS} jobs in flight at once, {WORKERS} workers, no callbacks, {READS} reads a second; durations "
        f"log-normal, median {MEDIAN:.0f} s, sigma {SIGMA}; the fleets side by side.\n"
    )
    yield from table(
        [
            "a read takes, s",
            "most reads in a second",
            "refused (429)",
            "reads a second while jobs waited",
            "reads a job",
            "jobs waited for, s",
        ],
        [reads for reads, _ in runs],
    )
    yield "\nSeconds from a task's end to the poll that saw it, and for how long a task was not polled:\n"
    yield from table(
        [
            "a read takes, s",
            "lag p50",
            "p95",
            "p99",
            "max",
            "between two polls: p50",
            "p99",
            "max",
            "before the first: max",
        ],
        [lags for _, lags in runs],
    )


def _run(latency: float) -> tuple[list[object], list[object]]:
    """The two rows of a run: its reads, and the lags of its tasks."""
    settings = {
        "LIMNER_RATE_REQUESTS": "100000",
        "LIMNER_READS_PER_SECOND": str(READS),
        "LIMNER_MAX_IN_FLIGHT": str(JOBS),
    }
    witness = SandboxProvider(
        creates=0,
        reads=READS,
        median=MEDIAN,
        sigma=SIGMA,
        tail=0.0,
        read_latency=latency,
        latency_sigma=0.3 if latency else 0.0,
        seed=1974,
    )
    with (
        LocalFleet(
            workers=WORKERS,
            settings=settings,
            provider=witness,
            valkey=EmbeddedValkey(aof=True),
            log_level="WARNING",
        ) as fleet,
        Limner(fleet.redis_url) as producer,
        _Waiting(producer) as waiting,
    ):
        for job in producer.submit_many(f"boat {number}" for number in range(JOBS)):
            job.result(PATIENCE)
        spans = waiting.spans()
        reads = [call for call in witness.calls() if call["endpoint"] == "recordInfo"]
        tasks = witness.ledger()
    assert len(tasks) == JOBS
    assert all(task["seen_ms"] for task in tasks)
    times = [call["at_ms"] for call in reads]
    ready = sum(end - begin for begin, end in spans)
    met = sum(1 for at in times if any(begin <= at < end for begin, end in spans))
    refused = sum(1 for call in reads if call["outcome"] == "429")
    lags = [(task["seen_ms"] - task["finish_ms"]) / 1000 for task in tasks]
    first, between = _unseen(reads, tasks)
    return (
        [
            latency,
            most_within(times, 1000.0),
            refused,
            1000 * met / ready if ready else 0.0,
            len(reads) / JOBS,
            ready / 1000,
        ],
        [
            latency,
            *(quantile(lags, q) for q in (0.5, 0.95, 0.99)),
            max(lags),
            *(quantile(between, q) for q in (0.5, 0.99)),
            max(between),
            max(first),
        ],
    )


def most_within(times: Sequence[float], span: float) -> int:
    """The most of the sorted ``times`` in any half-open window of length ``span``."""
    most = first = 0
    for last, at in enumerate(times):
        while times[first] <= at - span:
            first += 1
        most = max(most, last - first + 1)
    return most


def _unseen(
    reads: Sequence[dict[str, Any]], tasks: Sequence[dict[str, Any]]
) -> tuple[list[float], list[float]]:
    """The seconds before each task's first poll, and those between two of its polls."""
    polls: defaultdict[str, list[float]] = defaultdict(list)
    for call in reads:
        if call["outcome"] == "200":
            polls[call["task_id"]].append(call["at_ms"])
    first, between = [], []
    for task in tasks:
        # seen_ms is rounded down to whole milliseconds.
        until_seen = [at for at in polls[task["task_id"]] if at < task["seen_ms"] + 1]
        first.append((until_seen[0] - task["created_ms"]) / 1000)
        between += [(later - earlier) / 1000 for earlier, later in pairwise(until_seen)]
    return first, between


class _Waiting:
    """Samples continually whether jobs wait for a read."""

    def __init__(self, producer: Limner) -> None:
        self._producer = producer
        self._over = threading.Event()
        self._samples: list[tuple[float, bool]] = []
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self) -> "_Waiting":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _ask(self) -> None:
        while not self._over.wait(SAMPLED):
            waits = any(account.polls_waiting for account in self._producer.accounts())
            self._samples.append((1000 * time.time(), waits))

    def spans(self) -> list[tuple[float, float]]:
        """The spans between two successive samples, in milliseconds, at both of which jobs waited."""
        samples = list(self._samples)
        return [(begin, end) for (begin, before), (end, after) in pairwise(samples) if before and after]
