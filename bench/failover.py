"""A steady load on a fleet, a disturbance in the middle of it, and the count of what became of the jobs."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from limner import Job, Limner, errors
from sandbox.kie.server import SandboxProvider

__all__ = ["Outcome", "under_load"]

RATE: Final = 60.0
"""Jobs a second."""
PRODUCERS: Final = 40
"""Threads that submit, so that one that waits for Redis delays no other."""
PATIENCE: Final = 60.0
"""Seconds after the load for which submits are repeated, and then as many in which all jobs must end."""
PAUSE: Final = 0.2


@dataclass(frozen=True)
class Outcome:
    """The counts of the jobs by what became of them."""

    refused: int
    """The submits that never returned."""
    jobs: int
    """Those whose submit returned."""
    succeeded: int
    lost: tuple[str, ...]
    """The jobs whose submit returned, and that nobody knows any more."""
    doubled: tuple[str, ...]
    """The prompts that were bought more than once."""
    unasked: int
    """The tasks of prompts whose submit never returned."""
    failed: Counter[str]
    """By error, the jobs that ended without images; ``InDoubt`` is among them."""
    repeated: int
    """The submits that raised StoreUnavailable and were repeated."""
    producers_silent: float
    """The longest time in which no submit returned, in seconds, while there was load."""
    fleet_silent: float
    """The longest time in which no task was created, in seconds, from the first to the last one."""

    @property
    def silent(self) -> float:
        """The longest time in which no submit returned, or no task was created."""
        return max(self.producers_silent, self.fleet_silent)

    @property
    def in_doubt(self) -> int:
        return self.failed[errors.InDoubt.__name__]

    def __str__(self) -> str:
        return (
            f"{self.jobs} jobs: {self.succeeded} succeeded, {len(self.lost)} lost, "
            f"{len(self.doubled)} doubled, {self.in_doubt} in doubt, ended in {dict(self.failed)}; "
            f"submits: {self.refused} refused, {self.repeated} repetitions; "
            f"silence: producers {self.producers_silent:.1f} s, fleet {self.fleet_silent:.1f} s"
        )


class _Producers:
    """Threads that submit jobs, each with its key, and repeat what Redis did not take."""

    def __init__(self, limner: Limner) -> None:
        self._limner = limner
        self._returns: list[float] = []
        self._repeated: list[str] = []

    @property
    def repeated(self) -> int:
        return len(self._repeated)

    @property
    def silent(self) -> float:
        return longest_gap(self._returns)

    def submit(self, prompt: str, deadline: float) -> Job | None:
        while True:
            try:
                job = self._limner.submit(prompt, idempotency_key=prompt)
            except errors.StoreUnavailable:
                if time.monotonic() > deadline:
                    return None
                self._repeated.append(prompt)
                time.sleep(PAUSE)
            else:
                self._returns.append(time.monotonic())
                return job


def under_load(
    limner: Limner,
    provider: SandboxProvider,
    disturb: Callable[[], None],
    *,
    before: float = 3.0,
    after: float = 5.0,
    rate: float = RATE,
) -> Outcome:
    """Submit ``rate`` jobs a second, disturb, go on, and wait for the end of every job.

    ``disturb`` runs ``before`` seconds after the first job, while the load goes on; the last job is submitted
    ``after`` seconds later.
    """
    producers = _Producers(limner)
    submitted: dict[str, Future[Job | None]] = {}
    with ThreadPoolExecutor(PRODUCERS) as pool, ThreadPoolExecutor(1) as hand:
        began = time.monotonic()
        deadline = began + before + after + PATIENCE
        disturbed: Future[None] | None = None
        while (passed := time.monotonic() - began) < before + after:
            if passed >= before and disturbed is None:
                disturbed = hand.submit(disturb)
            while len(submitted) < passed * rate:
                prompt = f"kite {len(submitted)}"
                submitted[prompt] = pool.submit(producers.submit, prompt, deadline)
            time.sleep(0.005)
        if disturbed is not None:
            disturbed.result()
        jobs = {prompt: job for prompt, future in submitted.items() if (job := future.result()) is not None}
        deadline = time.monotonic() + PATIENCE
        ends = list(pool.map(lambda job: _end(job, deadline), jobs.values()))
    bought = Counter(task["input"]["prompt"] for task in provider.ledger())
    return Outcome(
        refused=len(submitted) - len(jobs),
        jobs=len(jobs),
        succeeded=ends.count(None),
        lost=tuple(
            prompt for prompt, end in zip(jobs, ends, strict=True) if end == errors.UnknownJob.__name__
        ),
        doubled=tuple(prompt for prompt, count in bought.items() if count > 1),
        unasked=sum(prompt not in jobs for prompt in bought),
        failed=Counter(end for end in ends if end is not None and end != errors.UnknownJob.__name__),
        repeated=producers.repeated,
        producers_silent=producers.silent,
        fleet_silent=longest_gap([task["created_ms"] / 1000 for task in provider.ledger()]),
    )


def longest_gap(times: Sequence[float]) -> float:
    """The longest time between two neighbours."""
    return max((later - earlier for earlier, later in pairwise(sorted(times))), default=0.0)


def _end(job: Job, deadline: float) -> str | None:
    """The name of the error in which the job ended; None if it has images."""
    while True:
        try:
            job.result(max(0.1, deadline - time.monotonic()))
        except errors.StoreUnavailable:
            if time.monotonic() > deadline:
                return errors.StoreUnavailable.__name__
            time.sleep(PAUSE)
        except (errors.JobFailed, errors.UnknownJob, errors.WaitTimeout) as error:
            return type(error).__name__
        else:
            return None
