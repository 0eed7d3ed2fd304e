"""Resident memory with jobs in flight, and a waiting job's memory in Valkey."""

import time
from collections.abc import Iterator

import psutil
import redis

from bench import fleets
from bench.report import table
from limner import Limner

IN_FLIGHT = 2000


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
        ["worker, idle, MB", f"worker, {IN_FLIGHT} jobs in flight, MB", "Valkey, bytes a job"],
        [[idle, busy, round(bytes_a_job)]],
    )
