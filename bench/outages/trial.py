"""One outage under load, and its figures."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bench.outages.figures import Figures, figures
from bench.outages.scaled import CREATES, WINDOW, fleet
from bench.outages.sorts import SORTS
from limner import InDoubt, Job, JobFailed, JobState, Limner

BEFORE: Final = 2.0
"""Seconds at the whole quota before the outage."""
PATIENCE: Final = 150.0
"""Seconds after an outage in which all jobs must end."""
SETTLED: Final = 3.0
"""Seconds in which nothing more ended: what is in doubt then stays so."""


@dataclass(frozen=True)
class Trial:
    """An outage to be played. ``seconds`` is its length, ``scale`` the factor by which all is faster."""

    sort: str
    seconds: float
    callbacks: bool
    scale: float
    jobs: int

    def run(self) -> tuple["Trial", Figures]:
        """Play it."""
        played = self.seconds / self.scale
        with fleet(self.scale, callbacks=self.callbacks) as local, Limner(local.redis_url) as producer:
            sent_before = round(BEFORE * CREATES * self.scale / WINDOW)
            jobs = producer.submit_many(f"boat {number}" for number in range(self.jobs + sent_before))
            time.sleep(BEFORE)
            began = time.time()
            provider = local.provider
            assert provider
            healed = SORTS[self.sort].play(provider, played)
            ends = _settle(jobs, played)
            return self, figures(local, producer, ends, (began, healed), WINDOW / self.scale)


def _settle(jobs: Sequence[Job], played: float) -> dict[str, str]:
    """Wait until all jobs have ended or stay in doubt; return the end of each in a word."""
    left, ends = list(jobs), dict[str, str]()
    now = time.monotonic()
    deadline, changed = now + PATIENCE + played, now
    states: dict[str, JobState] = {}
    while left and time.monotonic() < deadline:
        for job in left[:]:
            status = job.status()
            if status.state is not states.get(job.id):
                states[job.id], changed = status.state, time.monotonic()
            if status.state.ended:
                ends[job.id] = _end(job)
                left.remove(job)
            elif status.state is not JobState.IN_DOUBT and len(left) > CREATES:
                break  # those behind it wait as well
        if {states[job.id] for job in left if job.id in states} <= {JobState.IN_DOUBT} and (
            time.monotonic() - changed > SETTLED
        ):
            break
        time.sleep(0.5)
    for job in left:
        ends[job.id] = "in doubt" if job.status().state is JobState.IN_DOUBT else "lost"
    return ends


def _end(job: Job) -> str:
    try:
        job.result(timeout=0)
    except InDoubt:
        return "in doubt"
    except JobFailed as error:
        return type(error).__name__
    return "succeeded"
