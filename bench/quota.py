"""A fleet's utilisation of an account's quota, and its number of refusals.

There is a backlog of jobs and the real window of 20 in 10 s. Accepted tasks are counted on the stand-in's own
ledger. The fleets of one kind of limiter run side by side, each with its own Valkey and stand-in, because
they mostly wait.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.report import table
from limner import Limner
from sandbox.kie.server import SandboxProvider
from sandbox.local.fleet import LocalFleet
from sandbox.local.valkey import EmbeddedValkey
from sandbox.processes.children import Child
from sandbox.rival.process import Rival
from sandbox.rival.spending import PROMPT

JOBS: Final = int(os.environ.get("BENCH_QUOTA_JOBS", "600"))
CREATES: Final = 20
SECONDS: Final = 10.0
PATIENCE: Final = 900.0
"""Seconds after which a run with unsent jobs is broken off."""

HEAD: Final = [
    "who",
    "limiter",
    "workers",
    "accepted per 10 s: least",
    "median",
    "most",
    "utilisation, %",
    "refused",
]


@dataclass(frozen=True)
class Run:
    """The parameters of one fleet's run."""

    window: str
    workers: int
    kill: bool = False
    """If true, a worker is killed (SIGKILL) after a third of the jobs, and another one is started at once."""
    outside: float = 0.0
    """The share of the quota that a second client spends."""

    @property
    def name(self) -> str:
        parts = ["Limner"]
        parts += ["a worker killed in the middle"] if self.kill else []
        parts += [f"{self.outside:.0%} spent from outside"] if self.outside else []
        return ", ".join(parts)


def provider(window: str) -> SandboxProvider:
    """A stand-in whose tasks take 3 s, so that slots in flight are no limit."""
    return SandboxProvider(window=window, duration=3.0, creates=CREATES, window_seconds=SECONDS)


def accepted(witness: SandboxProvider) -> list[tuple[float, bool]]:
    """The time of each task's acceptance in seconds, and True for the fleet's own tasks; sorted."""
    tasks = witness.ledger()
    return sorted(
        (task["created_ms"] / 1000, not task["input"]["prompt"].startswith(PROMPT)) for task in tasks
    )


def row(name: str, window: str, workers: int, witness: SandboxProvider, refused: int) -> list[object]:
    """A run's row. It counts until the start of the last full window of our jobs, when the backlog ends."""
    tasks = accepted(witness)
    ours = [at for at, is_ours in tasks if is_ours]
    begin, end = ours[0], ours[-CREATES] if len(ours) > CREATES else ours[-1]
    counted = [at for at, _ in tasks if begin <= at < end]
    windows = int((end - begin) / SECONDS)
    per_window = sorted(
        sum(1 for at in counted if at - begin >= SECONDS * n and at - begin < SECONDS * (n + 1))
        for n in range(windows)
    ) or [0]
    possible = CREATES / SECONDS * (end - begin)
    return [
        name,
        window,
        workers,
        per_window[0],
        per_window[len(per_window) // 2],
        per_window[-1],
        f"{100 * len(counted) / possible:.1f}",
        refused,
    ]


def wait_for(witness: SandboxProvider, count: int) -> None:
    """Wait until ``count`` of our tasks are accepted, or the patience is used up."""
    deadline = time.monotonic() + PATIENCE
    while sum(1 for _, ours in accepted(witness) if ours) < count and time.monotonic() < deadline:
        time.sleep(0.5)


def limner(run: Run) -> list[object]:
    """One fleet's row."""
    with ExitStack() as stack:
        fleet = stack.enter_context(
            LocalFleet(
                workers=run.workers,
                provider=provider(run.window),
                valkey=EmbeddedValkey(aof=True),
                log_level="WARNING",
            )
        )
        assert fleet.provider
        outside = None
        if run.outside:
            outside = stack.enter_context(
                Rival(
                    fleet.provider.url, share=run.outside, creates=CREATES, window=SECONDS, seconds=PATIENCE
                )
            )
            time.sleep(SECONDS)  # the other client is active before the fleet
        with Limner(fleet.redis_url) as producer:
            producer.submit_many(f"boat {number}" for number in range(JOBS))
        if run.kill:
            wait_for(fleet.provider, JOBS // 3)
            fleet.kill_worker(0)
            fleet.start_worker()
        wait_for(fleet.provider, JOBS)
        refused = fleet.provider.summary()["calls"]["createTask"].get("429", 0)
        if outside:
            outside.stop()
            refused -= outside.summary()["refused"]
        return row(run.name, run.window, run.workers, fleet.provider, refused)


def others(kind: str, workers: int, divided: bool) -> list[object]:
    """The row of plain Celery workers with their own limiter."""
    share = CREATES // workers if divided else CREATES
    with ExitStack() as stack:
        valkey = stack.enter_context(EmbeddedValkey(aof=True))
        witness = stack.enter_context(provider("sliding"))
        environment = {
            **os.environ,
            "PYTHONPATH": str(Path(__file__).parent.parent),
            "BENCH_REDIS_URL": valkey.url,
            "BENCH_API_URL": witness.url,
            "BENCH_API_KEY": min(witness.options.accepted_keys),
            "BENCH_LIMITER": kind,
            "BENCH_REQUESTS": str(share),
            "BENCH_SECONDS": str(SECONDS),
        }
        quiet = ["-P", "threads", "-c", "32", "--without-gossip", "--without-mingle", "--without-heartbeat"]
        for number in range(workers):
            command = [
                sys.executable,
                "-m",
                "celery",
                "-A",
                "bench.limiters",
                "worker",
                "-n",
                f"w{number}@%h",
            ]
            child = Child([*command, *quiet], env=environment, output=subprocess.DEVNULL)
            stack.callback(child.stop, 10)
        submit = (
            "from bench.limiters import create_task\n"
            f"for number in range({JOBS}): create_task.delay(f'boat {{number}}')"
        )
        subprocess.run([sys.executable, "-c", submit], env=environment, check=True)
        wait_for(witness, JOBS)
        refused = witness.summary()["calls"]["createTask"].get("429", 0)
        name = {"celery": "Celery's `rate_limit`", "process": "a window in each process"}[kind]
        split = "the quota divided" if divided else "the quota for each"
        return row(name if workers == 1 else f"{name}, {split}", "sliding", workers, witness, refused)


def side_by_side(tasks: Iterable[Callable[[], list[object]]]) -> list[list[object]]:
    """Run the tasks concurrently; the rows are in their order."""
    with ThreadPoolExecutor(max_workers=8) as pool:
        return [future.result() for future in [pool.submit(task) for task in tasks]]


def run() -> Iterator[str]:
    """The tables."""
    yield f"{JOBS} jobs at once, {CREATES} in {SECONDS:.0f} s; the fleets of a limiter side by side.\n"
    rows = []
    for window in ("sliding", "fixed", "bucket"):
        runs = [Run(window, workers) for workers in (1, 2, 4, 8)]
        rows += side_by_side([lambda run=run: limner(run) for run in runs])  # type: ignore[misc]
    yield from table(HEAD, rows)
    yield "\nWith a worker killed and another one started, and beside a client unknown to the fleet:\n"
    windows = ("sliding", "fixed", "bucket")
    kills = [Run(window, 2, kill=True) for window in windows]
    shared = [Run(window, 2, outside=0.25) for window in windows]
    rows = side_by_side([lambda run=run: limner(run) for run in [*kills, *shared]])  # type: ignore[misc]
    yield from table(HEAD, rows)
    yield "\nThe same backlog with other limiters:\n"
    plain = [(kind, *how) for kind in ("celery", "process") for how in ((1, False), (4, False), (4, True))]
    rows = side_by_side([lambda case=case: others(*case) for case in plain])  # type: ignore[misc]
    yield from table(HEAD, rows)
