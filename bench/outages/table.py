"""Plays the trials of single faults, and tells what became of the jobs."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from bench.outages.rows import Row
from bench.outages.scaled import environment, fleet
from sandbox.local.fleet import LocalFleet

PRODUCER: Final = Path(__file__).with_name("producer.py")


def play(row: Row, scale: float, checkout: Path) -> str:
    """Play a trial with the version in ``checkout``; return what came out in a few words."""
    workers = 0 if row.path else row.workers
    with fleet(
        scale, callbacks=row.callbacks, checkout=checkout, own=row.own, workers=workers, **row.provider
    ) as local:
        assert local.provider
        if row.path:
            local.start_worker(settings={"LIMNER_API_URL": f"{local.api_url}{row.path}"})
        found = _produce(row, local, checkout)
        return "; ".join([*_told(local, found), *([row.tells(local)] if row.tells else [])])


def _produce(row: Row, local: LocalFleet, checkout: Path) -> Mapping[str, Any]:
    asked = {"url": local.redis_url, "prompts": list(row.prompts), "patience": row.patience}
    with subprocess.Popen(
        [sys.executable, "-P", str(PRODUCER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(checkout),
        text=True,
    ) as producer:
        assert producer.stdin
        assert producer.stdout
        assert local.provider
        print(json.dumps(asked), file=producer.stdin, flush=True)
        assert producer.stdout.readline() == "ready\n", row.says
        if row.faults:
            local.provider.faults(**row.faults)
        print("go", file=producer.stdin, flush=True)
        if row.act:
            row.act(local)
        found: dict[str, Any] = json.load(producer.stdout)
        return found


def _told(fleet: LocalFleet, found: Mapping[str, Any]) -> Iterator[str]:
    assert fleet.provider
    jobs = found["jobs"]
    ends = Counter(job["end"] for job in jobs)
    yield ", ".join(f"{count} {end}" for end, count in ends.most_common())
    if foreign := sum(1 for job in jobs if any(job["task_id"] not in url for url in job["urls"])):
        yield f"{foreign} with the images of another task"
    tasks = fleet.provider.ledger()
    most = max(Counter(task["input"]["prompt"] for task in tasks).values(), default=0)
    if most > 1:
        yield f"up to {most} tasks for a job"
    billed, booked = sum(task["billed"] for task in tasks), found["booked"]
    if abs(billed - booked) > 0.01:
        yield f"{billed:g} credits charged, {booked:g} on the books"
    if found["pauses"]:
        yield f"closed: {', '.join(found['pauses'])}"
