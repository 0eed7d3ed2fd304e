"""Fleets that copy into a folder, and jobs whose copies wait."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.fleets import ROOMY
from limner import Job, Limner
from limner._redis import connect
from limner.ledger import Ledger
from limner.ledger.layout.keys import COPIES
from sandbox.kie.server import SandboxProvider
from sandbox.local.fleet import LocalFleet
from sandbox.local.valkey import EmbeddedValkey

NOT_COPIES = ("-Q", "limner,limner.steps")
"""The arguments of a worker that leaves copies to others."""
ONLY_COPIES = ("-Q", "limner.copies")
USUAL = '{"TURBO": 1, "BALANCED": 1, "QUALITY": 1}'
"""LIMNER_USUAL_SECONDS of a stand-in whose tasks take a second."""
TICK = 0.02


@contextmanager
def copying_fleet(
    witness: SandboxProvider, *, workers: int = 1, **settings: str
) -> Iterator[tuple[LocalFleet, Path]]:
    """A fleet that copies into a folder, and the folder."""
    with TemporaryDirectory(prefix="limner-bench-") as name:
        folder = Path(name) / "images"
        copying = {
            "LIMNER_COPY_TO": folder.as_uri(),
            "LIMNER_COPY_PLAIN_HOSTS": "127.0.0.1",
            "LIMNER_USUAL_SECONDS": USUAL,
            **settings,
        }
        with LocalFleet(
            workers=workers,
            settings={**ROOMY, **copying},
            provider=witness,
            valkey=EmbeddedValkey(aof=True),
            log_level="WARNING",
        ) as fleet:
            yield fleet, folder


class Waiting:
    """The copies of a fleet that are still to be made."""

    def __init__(self, fleet: LocalFleet) -> None:
        self._client: Any = connect(fleet.redis_url)
        self._key = COPIES(Ledger(self._client).store.prefix)

    def count(self) -> int:
        """The jobs with copies to make."""
        return int(self._client.zcard(self._key))

    def until(self, most: int, *, within: float = 600.0) -> None:
        """Wait until at most so many jobs are left."""
        deadline = time.monotonic() + within
        while self.count() > most:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.count()} jobs have images to be copied after {within:.0f} s")
            time.sleep(TICK)


def make_waiting(fleet: LocalFleet, producer: Limner, jobs: int) -> list[Job]:
    """Jobs whose images wait to be copied, on a fleet whose workers leave that to others."""
    waiting = Waiting(fleet)
    made = producer.submit_many(f"boat {number}" for number in range(jobs))
    deadline = time.monotonic() + 300
    while waiting.count() < jobs:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{waiting.count()} of {jobs} jobs have images")
        time.sleep(TICK)
    return made
