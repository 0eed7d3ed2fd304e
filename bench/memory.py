"""Resident memory with jobs in flight, and the memory of a waiting and of a kept job in Valkey."""

import time
from collections.abc import Iterator

import psutil
import redis

from bench import fleets
from bench.report import table
from limner import Limner

IN_FLIGHT = 2000
KEPT = 1000
PROMPT = "boat {} in the harbour of a small town at sunrise, with the words GOOD MORNING"


def run() -> Iterator[str]:
    """The table."""
    with (
        fleets.fleet(600.0, workers=0, LIMNER_MAX_IN_FLIGHT=str(IN_FLIGHT)) as fleet,
        Limner(fleet.redis_url) as producer,
        redis.Redis.from_url(fleet.redis_url) as client,
    ):
        assert fleet.provider
        worker = psutil.Process(fleet.start_worker().pid)
        idle = worker.memory_info().rss / 1e6
        empty = client.info("memory")["used_memory"]
        producer.submit_many(f"boat {number}" for number in range(2 * IN_FLIGHT))
        while fleet.provider.summary()["created"] < IN_FLIGHT:
            time.sleep(0.1)
        busy = worker.memory_info().rss / 1e6
        bytes_a_job = (client.info("memory")["used_memory"] - empty) / (2 * IN_FLIGHT)
    yield from table(
        [
            "worker, idle, MB",
            f"worker, {IN_FLIGHT} jobs in flight, MB",
            "Valkey, bytes a job",
            "Valkey, bytes a kept job",
        ],
        [[idle, busy, round(bytes_a_job), round(_kept())]],
    )


def _kept() -> float:
    with (
        fleets.fleet(0.1, LIMNER_USUAL_SECONDS='{"BALANCED": 0.5}') as fleet,
        Limner(fleet.redis_url) as producer,
        redis.Redis.from_url(fleet.redis_url) as client,
    ):
        producer.submit("a first boat: with it, the scripts are loaded").result(timeout=60)
        empty = client.info("memory")["used_memory_dataset"]
        for job in producer.submit_many(PROMPT.format(number) for number in range(KEPT)):
            job.result(timeout=300)
        return float(client.info("memory")["used_memory_dataset"] - empty) / KEPT
