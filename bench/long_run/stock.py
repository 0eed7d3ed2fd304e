"""Stock Celery under the same faults and SIGKILLs, on the same servers."""

import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import redis

from bench.long_run.comparison import bought_by_prompt
from bench.long_run.plan import Kill, Plan
from bench.report import table
from sandbox.kie.server import SandboxProvider
from sandbox.local.valkey import EmbeddedValkey
from sandbox.processes.children import Child

__all__ = ["StockFindings", "stock_run"]

TICK: Final = 0.5
QUIET: Final = 240.0
"""Seconds without any job's end after which the remaining jobs count as lost.

That covers the visibility timeout of 60 s and kombu's sweep for expired messages each 100 s, with a reserve.
"""
_ROOT: Final = Path(__file__).parents[2]


@dataclass(frozen=True)
class StockFindings:
    """Counts of jobs, and of SIGKILLs; times in seconds."""

    jobs: int
    seconds: float
    """The time until the last end of a job."""
    succeeded: int
    failed: int
    double_billed: int
    billed_for_nothing: int
    """Billed jobs that failed or never ended."""
    kills: Counter[str]

    @property
    def waiting(self) -> int:
        """The jobs that had not ended when the run was given up."""
        return self.jobs - self.succeeded - self.failed

    def tables(self) -> Iterator[str]:
        """The findings as a Markdown table."""
        yield from table(
            ["measured", ""],
            [
                ["jobs", self.jobs],
                ["jobs a second", (self.succeeded + self.failed) / self.seconds],
                ["succeeded", self.succeeded],
                ["failed", self.failed],
                [f"lost: still without an end after {QUIET:.0f} s in which no job ended", self.waiting],
                ["billed more than once", self.double_billed],
                ["billed, and failed or lost", self.billed_for_nothing],
                *[[f"SIGKILLs: {kind}", count] for kind, count in sorted(self.kills.items())],
            ],
        )


def stock_run(plan: Plan, jobs: int) -> StockFindings:
    """Run ``jobs`` jobs under the plan's faults and kills, without callbacks and a receiver."""
    with (
        EmbeddedValkey(aof=True, appendfsync="always") as valkey,
        SandboxProvider(faults=plan.faults, **plan.provider) as provider,
    ):
        os.environ["BENCH_REDIS_URL"] = valkey.url
        os.environ["BENCH_API_URL"] = provider.url
        os.environ["BENCH_API_KEY"] = min(provider.options.accepted_keys)
        os.environ["BENCH_REQUEST_TIMEOUT"] = str(plan.request_timeout)
        run = _StockRun(plan, jobs, valkey)
        try:
            run.drive()
        finally:
            run.stop()
        return run.findings(provider)


class _StockRun:
    def __init__(self, plan: Plan, jobs: int, valkey: EmbeddedValkey) -> None:
        self._plan, self._jobs, self._valkey = plan, jobs, valkey
        self._rng = random.Random(plan.seed)
        self._kills: Counter[str] = Counter()
        self._workers = [_worker() for _ in range(plan.workers)]
        self._client: Any = redis.Redis.from_url(valkey.url, socket_timeout=30)
        self._open: dict[str, tuple[str, str]] = {}
        """The ids of each chain's results by prompt."""
        self._ends: dict[str, str] = {}
        self._seconds = 0.0

    def drive(self) -> None:
        """Submit in waves, kill on the plan's schedule, and stop when no more jobs end."""
        plan = self._plan
        kills = (kill for kill in plan.kills() if kill is not Kill.RECEIVER)
        next_kill, submitted = plan.jobs_between_kills, 0
        began = moved = time.monotonic()
        while len(self._ends) < self._jobs and time.monotonic() - moved < QUIET:
            while submitted < self._jobs and len(self._open) < plan.outstanding:
                self._submit(f"boat {submitted}")
                submitted += 1
            if next_kill <= len(self._ends) < self._jobs:
                self._strike(next(kills))
                next_kill += plan.jobs_between_kills
            time.sleep(TICK)
            if self._collect():
                moved = time.monotonic()
                self._seconds = moved - began

    def findings(self, provider: SandboxProvider) -> StockFindings:
        """The findings from the results and the stand-in's ledger."""
        bought = bought_by_prompt(provider.ledger())
        billed = {prompt: sum(task.billed for task in tasks) for prompt, tasks in bought.items()}
        ends = Counter(self._ends.values())
        return StockFindings(
            jobs=self._jobs,
            seconds=self._seconds,
            succeeded=ends["SUCCESS"],
            failed=ends["FAILURE"],
            double_billed=sum(times > 1 for times in billed.values()),
            billed_for_nothing=sum(
                times > 0 and self._ends.get(prompt) != "SUCCESS" for prompt, times in billed.items()
            ),
            kills=self._kills,
        )

    def stop(self) -> None:
        """End the workers."""
        for worker in self._workers:
            worker.kill()
        self._client.close()

    def _submit(self, prompt: str) -> None:
        from bench.stock_celery import submit  # it reads the environment when it is imported

        self._open[prompt] = submit(prompt)

    def _collect(self) -> bool:
        # One MGET reads the state of each chain's last task, and of its first one, which may have failed.
        pending = list(self._open.items())
        if not pending:
            return False
        names = [f"celery-task-meta-{task_id}" for _, ids in pending for task_id in ids]
        texts: list[bytes | None] = self._client.mget(names)
        for (prompt, _), first, last in zip(pending, texts[::2], texts[1::2], strict=True):
            if last and (state := _state(last)) in ("SUCCESS", "FAILURE"):
                self._ends[prompt] = state
            elif first and _state(first) == "FAILURE":
                self._ends[prompt] = "FAILURE"
        for prompt, _ in pending:
            if prompt in self._ends:
                del self._open[prompt]
        return any(prompt in self._ends for prompt, _ in pending)

    def _strike(self, kill: Kill) -> None:
        self._kills[kill] += 1
        if kill is Kill.WORKER:
            index = self._rng.randrange(len(self._workers))
            self._workers[index].kill()
            self._workers[index] = _worker()
        else:
            self._valkey.kill()
            self._valkey.restart()


def _state(text: bytes) -> str:
    # Only the state is needed, and a result's JSON may be long.
    return "SUCCESS" if b'"SUCCESS"' in text[:60] else "FAILURE" if b'"FAILURE"' in text[:60] else ""


def _worker() -> Child:
    command = [sys.executable, "-m", "celery", "-A", "bench.stock_celery", "worker", "-P", "threads"]
    quiet = ["-c", "32", "--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "CRITICAL"]
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    # Each worker needs its own node name: two of the same name would share their control queue.
    name = f"stock-{time.monotonic_ns()}@%h"
    return Child([*command, "-n", name, *quiet], cwd=_ROOT, env=environment, output=subprocess.DEVNULL)
