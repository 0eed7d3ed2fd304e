"""Odd messages in both queues of a fleet: what they cost its workers, its jobs and its loop."""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from timeit import repeat
from typing import Any, Final

import redis
from celery import Celery
from kombu.transport import virtual
from kombu.utils import json as kombu_json

from bench.odd_letters import Thrower, real_messages
from bench.report import table
from limner import Limner
from limner._redis import connect
from limner.ledger import Ledger
from sandbox.kie.server import SandboxProvider
from sandbox.local.fleet import LocalFleet
from worker.dispatcher import TASKS
from worker.health.__main__ import verdict
from worker.inspection import Inspection
from worker.marks import Marks
from worker.transport import Message

ODD: Final = int(os.environ.get("BENCH_LETTERS", "10000"))
"""Odd messages for each queue."""
SEED: Final = int(os.environ.get("BENCH_LETTERS_SEED", "1974"))
HONEST: Final = 100
"""Jobs of each kind that are sent in between."""
WORKERS: Final = 2
QUEUES: Final = ("limner", "limner.steps")
WAIT: Final = 300.0
CHECK_EVERY: Final = 1.0
ROUNDS: Final = 2000
SETTINGS: Final = {
    "LIMNER_RATE_REQUESTS": "10000",
    "LIMNER_READS_PER_SECOND": "1000",
    "LIMNER_MAX_IN_FLIGHT": "5000",
}


def run() -> Iterator[str]:
    """The tables."""
    yield f"{ODD} odd messages into each of {', '.join(QUEUES)}, seed {SEED}, {WORKERS} workers.\n"
    with LocalFleet(
        settings=SETTINGS,
        workers=WORKERS,
        provider=SandboxProvider(duration=0.2, creates=0, reads=0),
        log_level="WARNING",
    ) as fleet:
        app = Celery("backend", broker=fleet.redis_url, backend=fleet.redis_url, set_as_current=False)
        with Limner(fleet.redis_url) as limner, redis.Redis.from_url(fleet.redis_url) as server:
            yield from table(["what", "found"], _thrown(fleet, app, limner, server))
            yield "\nWhat an inspection costs a worker, microseconds a message:\n"
            yield from table(["message", "kombu's own reading", "with the inspection"], _costs(app))


def _thrown(fleet: LocalFleet, app: Celery, limner: Limner, server: Any) -> Iterator[list[object]]:
    jobs = [limner.submit(f"a fox {number}") for number in range(HONEST)]
    throwers = [
        Thrower(app, server, [queue], seed=SEED + place, victims=[job.id for job in jobs])
        for place, queue in enumerate(QUEUES)
    ]
    honest, unwell, began = [], 0, time.monotonic()
    for number in range(HONEST):
        for thrower in throwers:
            thrower.throw(ODD // HONEST)
        honest.append(
            app.send_task("limner.create_task", kwargs={"prompt": f"an owl {number}"}, queue="limner")
        )
        jobs.append(limner.submit(f"a hare {number}"))
        unwell += _unwell(fleet)
    deadline = time.monotonic() + WAIT
    while any(server.llen(queue) for queue in QUEUES) and time.monotonic() < deadline:
        time.sleep(CHECK_EVERY)
        unwell += _unwell(fleet)
    took = time.monotonic() - began
    ended = Counter(_outcome(lambda job=job: job.result(WAIT).urls) for job in jobs)
    ended += Counter(_outcome(lambda each=each: each.get(timeout=WAIT)["urls"]) for each in honest)
    yield ["workers down", sum(not worker.running for worker in fleet.workers)]
    yield ["health checks that found a fault", unwell]
    yield ["messages left in the queues", sum(server.llen(queue) for queue in QUEUES)]
    yield ["honest jobs", ", ".join(f"{count} {how}" for how, count in ended.items())]
    yield ["letters kept", len(limner.letters())]
    yield ["letters, bytes in Redis", server.memory_usage("limner:{main}:letters", samples=0)]
    yield [
        "tracebacks in the logs",
        sum(worker.log.read_text().count("Traceback") for worker in fleet.workers),
    ]
    yield ["odd messages a second", round(len(QUEUES) * ODD / took)]


def _unwell(fleet: LocalFleet) -> int:
    beats: list[Path] = [fleet.log_dir.parent / f"{worker.name}.heartbeat" for worker in fleet.workers]
    return sum(verdict(beat, time.time()) is not None for beat in beats)


def _outcome(result: Any) -> str:
    try:
        return "with an image" if len(result()) == 1 else "without an image"
    except Exception as error:
        return type(error).__name__


def _costs(app: Celery) -> Iterator[list[object]]:
    marks = Marks()
    marks.renew(Ledger(connect(app.conf.broker_url)).letters.fleet_key)
    inspection = Inspection(marks, frozenset(TASKS.values()))
    _, plain, polls, create, _ = real_messages(app, marks)
    with app.connection_for_write() as connection:
        channel: Any = connection.channel()

        def before(item: bytes) -> Any:
            return virtual.Message(kombu_json.loads(item), channel=channel).decode()

        def after(item: bytes) -> Any:
            return Message(inspection(item, "limner"), channel=channel).payload

        for name, item in (("a plain producer's", plain), ("polls", polls), ("an attempt", create)):
            yield [name, *(_microseconds(partial(read, item)) for read in (before, after))]


def _microseconds(call: Callable[[], Any]) -> float:
    return 1e6 * min(repeat(call, repeat=10, number=ROUNDS)) / ROUNDS
