"""The ledger alone, without workers: the cost of each script, and the jobs a second of one server."""

import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Barrier
from typing import Any, Final

from bench.commandstats import Stats
from bench.ledger_path import CLAIM, Path, messages
from bench.report import table
from limner.ledger.queue import ClaimSteps
from limner.ledger.scripts.calls import AcceptedCall, BeginCall, BeginPollsCall, ReportPollsCall, SubmitCall
from limner.ledger.scripts.script import Script
from sandbox.local.valkey import EmbeddedValkey

JOBS: Final = int(os.environ.get("BENCH_LEDGER_JOBS", "1000"))
CLIENTS: Final = (1, 4)
IN_AIR: Final = 200
"""The most jobs that a client has submitted and that have not ended."""

STAGES: Final = (
    "stage",
    "redis.calls a call",
    "µs a call",
    "calls a job",
    "redis.calls a job",
    "script ms a job",
    "Valkey's CPU ms a job",
    "client's CPU ms a job",
    "lines of Lua sent",
)
CEILING: Final = (
    "clients",
    "jobs a second",
    "Valkey, % of a core",
    "Valkey's CPU ms a job",
    "clients' CPU ms a job",
    "scripts a job",
    "redis.calls a job",
    "jobs a second of a full core",
)


@dataclass(frozen=True)
class Stage:
    """The cost of one stage of all jobs."""

    name: str
    script: type[Script[Any]]
    did: Stats
    client: float
    """Seconds of the client's CPU."""

    @property
    def a_job(self) -> tuple[float, ...]:
        """The amounts of a job.

        They are script calls, redis.calls, and the milliseconds in scripts, of Valkey's CPU and of the
        client's.
        """
        did = self.did
        milliseconds = (1000 * seconds for seconds in (did.script_seconds, did.cpu, self.client))
        return tuple(amount / JOBS for amount in (did.scripts, did.commands, *milliseconds))

    def row(self) -> list[object]:
        """The stage's row of the table."""
        calls = self.did.scripts
        a_call = [self.did.commands / calls, 1e6 * self.did.script_seconds / calls]
        return [self.name, *a_call, *self.a_job, len(self.script.text().splitlines())]


@dataclass
class Meter:
    """Measures one stage after the other."""

    path: Path
    stages: list[Stage] = field(default_factory=list)

    @contextmanager
    def stage(self, name: str, script: type[Script[Any]]) -> Iterator[None]:
        """Measure the block as one stage of all jobs."""
        self.path.client.config_resetstat()
        before, busy = Stats.read(self.path.client), time.process_time()
        yield
        busy = time.process_time() - busy
        self.stages.append(Stage(name, script, Stats.read(self.path.client).since(before), busy))


def run() -> Iterator[str]:
    """The tables."""
    with EmbeddedValkey(aof=True, appendfsync="always") as valkey:
        path = Path(valkey.url)
        _walk(Meter(path), 1)  # loads the scripts
        path.client.flushall()
        meter = Meter(path)
        _walk(meter, JOBS)
    yield f"{JOBS} jobs, stage by stage, in claims of {CLAIM}, one client, two polls, `appendfsync always`.\n"
    sums = [sum(amounts) for amounts in zip(*(stage.a_job for stage in meter.stages), strict=True)]
    yield from table(STAGES, [*(stage.row() for stage in meter.stages), ["a job in all", "", "", *sums, ""]])
    yield f"\nAll stages mixed, each client with up to {IN_AIR} jobs in the air:\n"
    yield from table(
        CEILING,
        [_ceiling(clients) for clients in CLIENTS],
    )


def _walk(meter: Meter, jobs: int) -> None:
    path = meter.path
    with meter.stage("submit", SubmitCall):
        for _ in range(jobs):
            path.submit()
    with meter.stage("claim, to send", ClaimSteps):
        steps = list(path.claims(jobs))
    with meter.stage("begin", BeginCall):
        sent = [path.begin(step) for step in steps]
    with meter.stage("accepted", AcceptedCall):
        for attempt in sent:
            path.accepted(attempt)
    with meter.stage("claim, to poll", ClaimSteps):
        steps = list(path.claims(jobs))
    with meter.stage("begin_polls", BeginPollsCall):
        for together in messages(steps):
            path.begin_polls(together)
    with meter.stage("report_polls, not ready", ReportPollsCall):
        for together in messages(steps):
            path.report(together, over=False)
    with meter.stage("claim, to poll again", ClaimSteps):
        steps = list(path.claims(jobs))
    with meter.stage("begin_polls again", BeginPollsCall):
        polled = [path.begin_polls(together) for together in messages(steps)]
    with meter.stage("report_polls, succeeded", ReportPollsCall):
        for together, _records in zip(messages(steps), polled, strict=True):
            path.report(together, over=True)


def _ceiling(clients: int) -> list[object]:
    context = get_context("spawn")
    with EmbeddedValkey(aof=True, appendfsync="always") as valkey:
        watch, ready, done = Path(valkey.url), context.Barrier(clients + 1), context.Value("i", 0)
        with ProcessPoolExecutor(clients, context, _share, (ready, done)) as pool:
            driven = [pool.submit(_drive, valkey.url, JOBS // clients) for _ in range(clients)]
            ready.wait(60)
            before, began = Stats.read(watch.client), time.monotonic()
            busy = sum(client.result() for client in driven)
            seconds = time.monotonic() - began
            did = Stats.read(watch.client).since(before)
    jobs = JOBS // clients * clients
    return [
        clients,
        jobs / seconds,
        100 * did.cpu / seconds,
        1000 * did.cpu / jobs,
        1000 * busy / jobs,
        did.scripts / jobs,
        did.commands / jobs,
        jobs / did.cpu,
    ]


_ready: Barrier
_done: "Synchronized[int]"


def _share(ready: Barrier, done: "Synchronized[int]") -> None:
    # Shared objects can only be passed to a process when it is spawned.
    global _ready, _done
    _ready, _done = ready, done


def _drive(url: str, jobs: int) -> float:
    """Submit jobs, and claim steps until the jobs of all clients have ended; return the seconds of CPU."""
    path, submitted = Path(url), 0
    _ready.wait(60)
    all_jobs = jobs * (_ready.parties - 1)
    busy = time.process_time()
    while _done.value < all_jobs:
        for _ in range(min(CLAIM, jobs - submitted) if submitted < _done.value + IN_AIR else 0):
            path.submit()
            submitted += 1
        claimed = path.claim()
        for step in claimed:
            if step.step == "create":
                path.accepted(path.begin(step))
        for together in messages([step for step in claimed if step.step == "poll"]):
            polls = path.begin_polls(together)
            fresh = [step for step, before in zip(together, polls, strict=True) if before == 0]
            seen = [step for step, before in zip(together, polls, strict=True) if before > 0]
            path.report(fresh, over=False)
            path.report(seen, over=True)
            with _done.get_lock():
                _done.value += len(seen)
    return time.process_time() - busy
