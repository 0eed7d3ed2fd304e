"""The throughput under load while one answer in 33 is a stray refusal."""

import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

from bench.outages.scaled import fleet
from limner import Limner

SHARE: Final = 1 / 33
JOBS: Final = 660
PATIENCE: Final = 240.0
HEAD: Final = (
    "one answer in 33",
    "accepted a second",
    "of the undisturbed throughput",
    "stray answers",
    "jobs not succeeded",
)

KINDS: Final[Mapping[str, Mapping[str, Any]]] = {
    "good, as all": {},
    "455": {"create_455": SHARE},
    "429": {"create_429": SHARE},
    "401": {"create_401": SHARE},
}


def play(kind: str, scale: float) -> tuple[float, int, int]:
    """Return the accepted requests a second, the stray answers, and the jobs that have not succeeded."""
    with (
        fleet(scale, callbacks=True, faults=KINDS[kind], seed=33) as local,
        Limner(local.redis_url) as producer,
    ):
        jobs = producer.submit_many(f"boat {number}" for number in range(JOBS))
        deadline = time.monotonic() + PATIENCE
        provider = local.provider
        assert provider
        while provider.summary()["created"] < JOBS and time.monotonic() < deadline:
            time.sleep(0.5)
        accepted = [task["created_ms"] / 1000 for task in provider.ledger()]
        calls = provider.summary()["calls"]["createTask"]
        for job in jobs[-40:]:
            job.result(timeout=PATIENCE)
        failed = sum(1 for job in jobs if job.status().state != "succeeded")
        rate = (len(accepted) - 1) / (accepted[-1] - accepted[0])
        return rate, sum(calls.values()) - calls["200"], failed


def rows(scale: float) -> Iterator[list[object]]:
    """The table's rows. The runs follow each other, since they are compared with the first."""
    whole = 0.0
    for kind in KINDS:
        rate, strays, failed = play(kind, scale)
        whole = whole or rate
        yield [kind, rate, f"{rate / whole:.0%}", strays, failed]
