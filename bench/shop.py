"""A neighbour on the same broker: a Celery app with default settings, and its producer. For a bench only.

Its worker is ``celery -A bench.shop worker``. ``python -m bench.shop SECONDS`` sends tasks for so long, waits
for all their results, and prints what it sent.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from celery import Celery

STARTS: Final = "BENCH_STARTS"
"""The variable with the file to which the worker writes each start of a task."""
URL: Final = "BENCH_REDIS_URL"
COUNTDOWN: Final = 8.0
SLOW_SECONDS: Final = 12.0
"""The time that an acks_late task takes."""
PERIODS: Final = {"at once": 0.05, "countdown": 0.2, "acks_late": 5.0}
"""Seconds from one task of a kind to the next."""
RESULT_SECONDS: Final = 60.0

app = Celery("shop", broker=os.environ.get(URL), backend=os.environ.get(URL))


def start(task_id: str) -> None:
    """Write down that a task starts. A line is written at once, so that processes share the file."""
    with Path(os.environ[STARTS]).open("a") as file:
        file.write(f"{task_id} {time.time()}\n")


@app.task(bind=True, name="shop.order")
def order(self: Any, number: int) -> int:
    """A quick task."""
    start(self.request.id)
    return number


@app.task(bind=True, name="shop.parcel", acks_late=True)
def parcel(self: Any, number: int) -> int:
    """A long task, which is acknowledged when it has ended."""
    start(self.request.id)
    time.sleep(SLOW_SECONDS)
    return number


def send(kind: str, number: int) -> tuple[Any, float]:
    """Send a task; returns its result and the time at which it is due."""
    now = time.time()
    if kind == "countdown":
        return order.apply_async((number,), countdown=COUNTDOWN), now + COUNTDOWN
    return (parcel if kind == "acks_late" else order).delay(number), now


def schedule(seconds: float) -> Iterator[tuple[float, str]]:
    """The times of all tasks, from the beginning, with their kinds."""
    for kind, period in PERIODS.items():
        for number in range(int(seconds / period)):
            yield number * period, kind


def main(seconds: float) -> None:
    """Send for so long, and wait for all results."""
    order.delay(0).get(timeout=RESULT_SECONDS)  # so that no measured task waits for a connection
    sent, began = [], time.monotonic()
    for number, (at, kind) in enumerate(sorted(schedule(seconds))):
        time.sleep(max(0.0, began + at - time.monotonic()))
        result, due = send(kind, number)
        sent.append((result, kind, due, number))
    deadline = time.monotonic() + RESULT_SECONDS
    report = []
    for result, kind, due, number in sent:
        try:
            answered = result.get(timeout=max(0.1, deadline - time.monotonic())) == number
        except Exception:
            answered = False
        report.append({"id": result.id, "kind": kind, "due": due, "answered": answered})
    json.dump(report, sys.stdout)


if __name__ == "__main__":
    main(float(sys.argv[1]))
