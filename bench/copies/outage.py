"""A store that is away while jobs go on: the folder becomes a plain file, and then a folder again."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import psutil

from bench.copies.stores import Waiting, copying_fleet
from bench.fleets import provider
from bench.report import quantile, table
from limner import Job, Limner
from tests.copies import compare

JOBS: Final = int(os.environ.get("BENCH_COPIES_OUTAGE_JOBS", "1000"))
BEFORE: Final = 200
PACE: Final = 20.0
AWAY: Final = float(os.environ.get("BENCH_COPIES_AWAY", "120"))
"""Seconds for which the store is away, with a longest back-off in the same proportion as for an hour."""
HOUR: Final = 3600.0
USUAL_BACKOFF: Final = 300.0
SAMPLE: Final = 5.0


@dataclass
class Seen:
    """Megabytes of the worker over time."""

    process: psutil.Process
    resident: list[float] = field(default_factory=list)

    def look(self) -> None:
        self.resident.append(self.process.memory_info().rss / 1e6)


def run() -> Iterator[str]:
    """The table."""
    backoff = USUAL_BACKOFF * AWAY / HOUR
    with (
        provider(1.0, file_size="small") as witness,
        copying_fleet(
            witness,
            LIMNER_COPY_PATIENCE_SECONDS="1",
            LIMNER_COPY_BACKOFF_MAX_SECONDS=str(backoff),
        ) as (fleet, folder),
        Limner(fleet.redis_url) as producer,
    ):
        waiting, seen = Waiting(fleet), Seen(psutil.Process(fleet.workers[0].pid))
        first, before = _submit(producer, seen, BEFORE, "before")
        for job in first:
            job.result(timeout=120)
        waiting.until(0)
        aside = folder.with_name("aside")
        folder.rename(aside)
        folder.write_bytes(b"")
        away = time.monotonic()
        start = len(seen.resident)
        jobs, during = _submit(producer, seen, JOBS, "during")
        for job in jobs:
            job.result(timeout=120)
        while time.monotonic() - away < AWAY:
            seen.look()
            time.sleep(SAMPLE)
        left = waiting.count()
        folder.unlink()
        aside.rename(folder)
        back = time.monotonic()
        waiting.until(0)
        stored = time.monotonic() - back
        seen.look()
        ledger = {task["input"]["prompt"]: task["created_ms"] for task in witness.ledger()}
        copies = [copy for job in [*first, *jobs] for copy in job.status().copies]
        found = list(compare(folder, copies, witness.files()))
        rows: list[list[object]] = [
            ["images not stored when the store came back", left],
            ["seconds until all were stored", stored],
            ["missing, doubled, wrong or foreign objects", len(found)],
            ["from submit to createTask before, ms: p50", _lag(before, ledger, 0.5)],
            ["p99", _lag(before, ledger, 0.99)],
            ["while the store is away: p50", _lag(during, ledger, 0.5)],
            ["p99", _lag(during, ledger, 0.99)],
            ["a worker's memory, MB: when the store went", seen.resident[start]],
            ["most while it was away", max(seen.resident[start:-1])],
            ["when all was stored", seen.resident[-1]],
        ]
    yield (
        f"A folder that is away for {AWAY:.0f} s, in which {JOBS} jobs come, {PACE:.0f} a second; "
        f"LIMNER_COPY_BACKOFF_MAX_SECONDS={backoff:.0f}, an hour and 300 s on the same scale:\n"
    )
    yield from table(["measured", ""], rows)


def _submit(producer: Limner, seen: Seen, jobs: int, prefix: str) -> tuple[list[Job], dict[str, float]]:
    """Submit jobs at the pace; returns them, and the time of each by its prompt, in milliseconds."""
    made: list[Job] = []
    begun: dict[str, float] = {}
    due = time.monotonic()
    for number in range(jobs):
        time.sleep(max(0.0, due - time.monotonic()))
        due += 1 / PACE
        if number % round(SAMPLE * PACE) == 0:
            seen.look()
        prompt = f"{prefix} {number}"
        begun[prompt] = 1000 * time.time()
        made.append(producer.submit(prompt))
    return made, begun


def _lag(begun: dict[str, float], created: dict[str, float], q: float) -> float:
    return quantile([created[prompt] - at for prompt, at in begun.items()], q)
