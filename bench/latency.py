"""The latency from ``submit`` to the provider's acceptance, one job at a time on an idle fleet."""

import time
from collections.abc import Iterator

from bench import fleets
from bench.report import quantile, table
from limner import Limner

JOBS = 200


def run() -> Iterator[str]:
    """The table."""
    with fleets.fleet(600.0, LIMNER_MAX_IN_FLIGHT="1000") as fleet, Limner(fleet.redis_url) as producer:
        assert fleet.provider
        begun = {}
        for number in range(JOBS):
            prompt = f"boat {number}"
            begun[prompt] = time.time() * 1000
            producer.submit(prompt)
            time.sleep(0.02)
        while fleet.provider.summary()["created"] < JOBS:
            time.sleep(0.05)
        # created_ms is rounded down to whole milliseconds, so on average it is half of one too small.
        waits = [
            task["created_ms"] + 0.5 - begun[task["input"]["prompt"]] for task in fleet.provider.ledger()
        ]
    yield from table(
        ["from submit to acceptance", "p50, ms", "p90", "p99"],
        [[f"{JOBS} jobs, one each 20 ms", *(quantile(waits, q) for q in (0.5, 0.9, 0.99))]],
    )
