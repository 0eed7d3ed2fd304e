"""Worker CPU per job: user and system time from the OS, after a warm-up, against plain Celery."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench import fleets
from bench.report import table
from limner import Limner
from sandbox.children import Child
from sandbox.server import SandboxProvider
from sandbox.valkey import EmbeddedValkey

JOBS = 1200
WARM_UP = 200
DURATION = 1.0
ROUNDS = 3
WAVE = 400
"""Jobs submitted at a time, so that either fleet has about as many of them in the air."""


@dataclass(frozen=True)
class Cost:
    """Milliseconds of CPU a job, looks a job, and resident memory at the end in MB."""

    user: float
    system: float
    looks: float
    resident: float

    @property
    def total(self) -> float:
        return self.user + self.system


def measure(pid: int, provider: SandboxProvider, run: Callable[[int, int], None]) -> Cost:
    """Run the warm-up and then the jobs, and read the worker's clock before and after."""
    process = psutil.Process(pid)
    run(0, WARM_UP)
    before, reads = process.cpu_times(), provider.summary()["reads"]
    for start in range(WARM_UP, WARM_UP + JOBS, WAVE):
        run(start, WAVE)
    after = process.cpu_times()
    return Cost(
        1000 * (after.user - before.user) / JOBS,
        1000 * (after.system - before.system) / JOBS,
        (provider.summary()["reads"] - reads) / JOBS,
        process.memory_info().rss / 1e6,
    )


def limner() -> Cost:
    """Limner's worker."""
    with fleets.fleet(DURATION) as fleet, Limner(fleet.redis_url) as producer:
        assert fleet.provider

        def run(start: int, count: int) -> None:
            for job in producer.submit_many(f"boat {start + number}" for number in range(count)):
                job.result(120)

        return measure(fleet.workers[0].pid, fleet.provider, run)


def plain_celery(provider: SandboxProvider) -> Cost:
    """The chain of two self-retrying tasks, on the servers that the environment names."""
    from bench.plain_celery import submit

    command = [sys.executable, "-m", "celery", "-A", "bench.plain_celery", "worker", "-P", "threads"]
    quiet = ["-c", "32", "--without-gossip", "--without-mingle", "--without-heartbeat"]
    root = Path(__file__).parent.parent
    environment = {**os.environ, "PYTHONPATH": str(root)}
    worker = Child([*command, *quiet], cwd=root, env=environment, output=subprocess.DEVNULL)
    try:

        def run(start: int, count: int) -> None:
            # Asked for, not subscribed to: a subscription now and then misses its message.
            for result in [submit(f"boat {start + number}") for number in range(count)]:
                while not result.ready():
                    time.sleep(0.05)

        return measure(worker.pid, provider, run)
    finally:
        worker.stop(10)


def run() -> Iterator[str]:
    """The table: the median of some rounds, in turns, because the machine is shared."""
    rounds = []
    with EmbeddedValkey(aof=True) as valkey, fleets.provider(DURATION) as provider:
        # The Celery app of the comparison reads them when it is imported.
        os.environ["BENCH_REDIS_URL"] = valkey.url
        os.environ["BENCH_API_URL"] = provider.url
        os.environ["BENCH_API_KEY"] = min(provider.options.accepted_keys)
        for _ in range(ROUNDS):
            rounds.append((limner(), plain_celery(provider)))  # noqa: PERF401 - in turns, on purpose
    ours, plain = (
        sorted(costs, key=lambda cost: cost.total)[ROUNDS // 2] for costs in zip(*rounds, strict=True)
    )
    ratios = sorted(one.total / other.total for one, other in rounds)
    yield f"{JOBS} jobs of {DURATION:.0f} s, one worker of 32 threads; the median of {ROUNDS} rounds.\n"
    yield from table(
        ["worker", "CPU a job, ms", "user", "system", "looks a job", "resident, MB"],
        [
            [name, cost.total, cost.user, cost.system, cost.looks, cost.resident]
            for name, cost in (("Limner", ours), ("plain Celery: chain and self.retry", plain))
        ],
    )
    yield f"\nLimner of plain Celery, round by round: {', '.join(f'{ratio:.2f}' for ratio in ratios)}."
