"""The lag from the provider's end to the result, and what copies cost creates and polls.

Fleets with and without copies take turns, and get the same jobs at the same pace.
"""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from bench import fleets
from bench.copies.stores import USUAL, Waiting, copying_fleet
from bench.report import quantile, table
from limner import Limner

JOBS: Final = int(os.environ.get("BENCH_COPIES_JOBS", "200"))
WARM_UP: Final = 40
PACE: Final = 5.0
"""Jobs a second, each with one image of 1 MB."""
DURATION: Final = 1.0
ROUNDS: Final = int(os.environ.get("BENCH_COPIES_ROUNDS", "3"))


@dataclass
class Times:
    """Milliseconds of each job."""

    sent: list[float] = field(default_factory=list)
    """From submit to the arrival of createTask."""
    seen: list[float] = field(default_factory=list)
    """From the task's end to the record of it."""
    done: list[float] = field(default_factory=list)
    """From the task's end to the end of the job."""


def run() -> Iterator[str]:
    """The tables."""
    rounds: dict[bool, list[Times]] = {False: [], True: []}
    for number in range(ROUNDS):
        # Who goes first alternates as well.
        for copies in (False, True) if number % 2 else (True, False):
            rounds[copies].append(_round(copies=copies))
    yield (
        f"{ROUNDS} rounds of {JOBS} jobs with and without copies, {PACE:.0f} a second, each with one image "
        f"of 1 MB that takes {DURATION:.0f} s; one worker. Milliseconds over all rounds:\n"
    )
    rows: list[list[object]] = []
    for name in ("sent", "seen", "done"):
        for copies in (False, True):
            values = [value for times in rounds[copies] for value in getattr(times, name)]
            p99s = [quantile(getattr(times, name), 0.99) for times in rounds[copies]]
            rows.append(
                [
                    _TITLES[name],
                    "on" if copies else "off",
                    *(quantile(values, q) for q in (0.5, 0.9, 0.99)),
                    median(p99s),
                ]
            )
    yield from table(["", "copies", "p50", "p90", "p99", "median of the rounds' p99"], rows)


_TITLES: Final = {
    "sent": "from submit to createTask",
    "seen": "from the provider's end to the record of it",
    "done": "from the provider's end to the end of the job",
}


def _round(*, copies: bool) -> Times:
    times = Times()
    with ExitStack() as stack:
        witness = fleets.provider(DURATION, file_size="large")
        if copies:
            fleet, _ = stack.enter_context(copying_fleet(witness))
        else:
            fleet = stack.enter_context(fleets.fleet(DURATION, witness=witness, LIMNER_USUAL_SECONDS=USUAL))
        producer = stack.enter_context(Limner(fleet.redis_url))
        begun, jobs = {}, []
        due = time.monotonic()
        for number in range(WARM_UP + JOBS):
            time.sleep(max(0.0, due - time.monotonic()))
            due += 1 / PACE
            begun[f"boat {number}"] = 1000 * time.time()
            jobs.append(producer.submit(f"boat {number}"))
        for job in jobs:
            job.result(timeout=120)
        if copies:
            Waiting(fleet).until(0)
        created = {task["input"]["prompt"]: task["created_ms"] for task in witness.ledger()}
        for number, job in list(enumerate(jobs))[WARM_UP:]:
            prompt = f"boat {number}"
            ended = created[prompt] + 1000 * DURATION
            entries = {entry.event: 1000 * entry.at.timestamp() for entry in job.log()}
            times.sent.append(created[prompt] - begun[prompt])
            times.seen.append(entries.get("copying", entries["succeeded"]) - ended)
            times.done.append(entries["succeeded"] - ended)
    return times
