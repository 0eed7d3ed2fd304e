"""The lag from a task's end to its result with callbacks, and the reads a job, at several offered loads.

There are workers, a callback receiver and the stand-in, which calls back when a task ends. The lag is the
time from a task's end to the poll in which the stand-in shows it. The stand-in sends at most 12 callbacks at
once; when other programs use the cores, callbacks queue there, before the receiver.
"""

import time
from collections.abc import Iterator, Sequence
from typing import Final

import psutil

from bench import fleets
from bench.report import quantile, table
from limner import Limner
from limner._redis import connect
from limner.ledger import Ledger
from sandbox.local.fleet import LocalFleet
from sandbox.local.valkey import EmbeddedValkey

RATES: Final = (10, 50, 100)
SECONDS: Final = 15
DURATION: Final = 1.0
WORKERS: Final = 2
PATIENCE: Final = 120.0


def run() -> Iterator[str]:
    """The table."""
    rows = [_row(rate) for rate in RATES]
    yield f"{SECONDS} s of jobs at each rate, tasks of {DURATION:.0f} s, {WORKERS} workers.\n"
    yield from table(
        [
            "jobs a second",
            "reads a job",
            "lag p50, ms",
            "p95",
            "p99",
            "max",
            "submit to acceptance p50, ms",
            "end to callback p50, ms",
            "callback to poll p50, ms",
            "p99",
            "CPU, % of a core: workers",
            "receiver",
            "stand-in",
            "Valkey",
        ],
        rows,
    )


def _row(rate: int) -> list[object]:
    with (
        LocalFleet(
            workers=WORKERS,
            callbacks=True,
            settings=fleets.ROOMY | {"LIMNER_MAX_IN_FLIGHT": "10000"},
            provider=fleets.provider(DURATION),
            valkey=EmbeddedValkey(aof=True),
            log_level="WARNING",
        ) as fleet,
        Limner(fleet.redis_url) as producer,
    ):
        assert fleet.provider
        for job in producer.submit_many(f"warm-up {number}" for number in range(20)):
            job.result(PATIENCE)
        assert fleet.callbacks
        assert fleet.valkey
        pids = [[worker.pid for worker in fleet.workers], [fleet.callbacks.pid], [fleet.provider.pid]]
        processes = [[psutil.Process(pid) for pid in group] for group in [*pids, [fleet.valkey.pid]]]
        before = [_cpu(group) for group in processes]
        jobs, began = {}, time.perf_counter()
        for number in range(rate * SECONDS):
            time.sleep(max(0.0, began + number / rate - time.perf_counter()))
            prompt = f"boat {number}"
            begun = time.time()
            jobs[prompt] = (begun, producer.submit(prompt))
        spent = time.perf_counter() - began
        cpu = [100 * (_cpu(group) - since) / spent for group, since in zip(processes, before, strict=True)]
        for _, job in jobs.values():
            job.result(PATIENCE)
        ledger = Ledger(connect(fleet.redis_url))
        signals = {prompt: _signalled(ledger, job.id) for prompt, (_, job) in jobs.items()}
        tasks = [task for task in fleet.provider.ledger() if task["input"]["prompt"] in jobs]
    lags = [task["seen_ms"] - task["finish_ms"] for task in tasks]
    sent = [task["created_ms"] - jobs[task["input"]["prompt"]][0] * 1000 for task in tasks]
    signalled = [task["seen_ms"] - signals[task["input"]["prompt"]] * 1000 for task in tasks]
    called_back = [task["callbacks"][0]["at_ms"] - task["finish_ms"] for task in tasks]
    return [
        rate,
        sum(task["reads"] for task in tasks) / len(tasks),
        *(round(quantile(lags, q)) for q in (0.5, 0.95, 0.99)),
        round(max(lags)),
        round(quantile(sent, 0.5)),
        round(quantile(called_back, 0.5)),
        *(round(quantile(signalled, q)) for q in (0.5, 0.99)),
        *map(round, cpu),
    ]


def _signalled(ledger: Ledger, job_id: str) -> float:
    """The time at which the receiver recorded a job's last callback."""
    record = ledger.jobs.read(job_id)
    assert record
    assert record.signalled_at
    return record.signalled_at.timestamp()


def _cpu(processes: Sequence[psutil.Process]) -> float:
    """Seconds of user and system time."""
    return sum(sum(process.cpu_times()[:2]) for process in processes)
