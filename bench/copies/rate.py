"""Copies a second, and CPU for each, of a worker and of a plain loop with the same libraries.

The files have 1 MB. Both use as many threads, and the same storage in a folder, which waits for the disk.
Rounds alternate, because the machine is shared.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final

import psutil

from bench.copies.stores import NOT_COPIES, ONLY_COPIES, Waiting, copying_fleet, make_waiting
from bench.fleets import provider
from bench.report import table
from limner import Limner
from sandbox.local.fleet import LocalFleet

IMAGES: Final = int(os.environ.get("BENCH_COPIES_IMAGES", "200"))
WARM_UP: Final = 40
ROUNDS: Final = int(os.environ.get("BENCH_COPIES_ROUNDS", "3"))
THREADS: Final = 8
_ROOT: Final = Path(__file__).parents[2]


@dataclass(frozen=True)
class Price:
    """Seconds of the clock and of CPU for each image."""

    seconds: float
    cpu: float


def run() -> Iterator[str]:
    """The tables."""
    worker: dict[bool, list[Price]] = {True: [], False: []}
    plain: dict[bool, list[Price]] = {True: [], False: []}
    with (
        provider(0.1, file_size="large") as witness,
        copying_fleet(
            witness,
            workers=0,
            LIMNER_COPY_CONCURRENCY=str(THREADS),
            LIMNER_COPY_PATIENCE_SECONDS="3600",
            LIMNER_MAX_IN_FLIGHT="1000",
        ) as (fleet, _),
        Limner(fleet.redis_url) as producer,
    ):
        fleet.start_worker(arguments=NOT_COPIES)
        for _ in range(ROUNDS):
            for thumbnails in (True, False):
                made = make_waiting(fleet, producer, WARM_UP + IMAGES)
                urls = [copy.url for job in made for copy in job.status().copies]
                plain[thumbnails].append(_plain(urls, thumbnails=thumbnails))
                worker[thumbnails].append(_worker(fleet, thumbnails=thumbnails))
    yield f"{IMAGES} images of 1 MB, {THREADS} at once; the median of {ROUNDS} rounds, in turns:\n"
    yield from table(
        ["", "copies a second", "of the plain loop", "CPU, ms an image", "of the plain loop"],
        [
            row
            for thumbnails in (True, False)
            for row in _rows(worker[thumbnails], plain[thumbnails], thumbnails=thumbnails)
        ],
    )


def _rows(worker: Sequence[Price], plain: Sequence[Price], *, thumbnails: bool) -> list[list[object]]:
    what = "with thumbnails" if thumbnails else "without"
    speed = median(loop.seconds / ours.seconds for ours, loop in zip(worker, plain, strict=True))
    cost = median(ours.cpu / loop.cpu for ours, loop in zip(worker, plain, strict=True))
    return [
        [
            f"{name}, {what}",
            1 / median(price.seconds for price in prices),
            *([] if name == "plain loop" else [speed]),
            *([""] if name == "plain loop" else []),
            1000 * median(price.cpu for price in prices),
            cost if name == "a worker" else "",
        ]
        for name, prices in (("a worker", worker), ("plain loop", plain))
    ]


def _worker(fleet: LocalFleet, *, thumbnails: bool) -> Price:
    waiting = Waiting(fleet)
    started = fleet.start_worker(
        settings={"LIMNER_COPY_THUMBNAILS": str(int(thumbnails))}, arguments=ONLY_COPIES
    )
    process = psutil.Process(started.pid)
    waiting.until(IMAGES)
    began, cpu, left = time.monotonic(), _cpu(process), waiting.count()
    waiting.until(0)
    seconds, cpu = time.monotonic() - began, _cpu(process) - cpu
    fleet.kill_worker(len(fleet.workers) - 1)
    return Price(seconds / left, cpu / left)


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _plain(urls: Sequence[str], *, thumbnails: bool) -> Price:
    with TemporaryDirectory(prefix="limner-bench-") as folder:
        orders: dict[str, Any] = {"urls": urls, "folder": folder, "threads": THREADS, "warm_up": WARM_UP}
        done = subprocess.run(
            [sys.executable, "-m", "bench.copies.plain_loop"],
            input=json.dumps({**orders, "thumbnails": thumbnails}),
            capture_output=True,
            text=True,
            check=True,
            cwd=_ROOT,
        )
        return Price(**json.loads(done.stdout))
