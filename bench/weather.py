"""A Redis that is frozen, full, slow or flapping while jobs are under way, and what became of them."""

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from limner import Job, Limner, errors
from sandbox.kie.server import SandboxProvider
from sandbox.local.commands import connected
from sandbox.local.fleet import LocalFleet
from sandbox.local.network import Proxy
from sandbox.local.ports import HOST
from sandbox.local.valkey import EmbeddedValkey

__all__ = ["FAULTS", "WINDOW", "Counts", "Place", "loud_lines", "through"]

WINDOW: Final = 1.0
"""Seconds of the quota's window."""
WAITERS: Final = 20
PAUSE: Final = 0.1
EACH_WAY: Final = 0.05
"""Seconds by which a slow Redis is late, each way."""
FLAP: Final = 2.0
"""Seconds on, and as many off."""


@dataclass(frozen=True)
class Place:
    """A Redis behind a network that can be disturbed."""

    valkey: EmbeddedValkey
    proxy: Proxy

    @property
    def url(self) -> str:
        return f"redis://:{self.valkey.password}@{HOST}:{self.proxy.port}/0"


@contextmanager
def frozen(place: Place) -> Iterator[None]:
    """A server that is stopped (SIGSTOP), and continued."""
    place.valkey.pause()
    try:
        yield
    finally:
        place.valkey.resume()


@contextmanager
def full(place: Place) -> Iterator[None]:
    """A server that has reached its ``maxmemory`` and evicts nothing, and gets more."""
    with connected(place.valkey.port, place.valkey.password) as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", "1mb")
        try:
            yield
        finally:
            client.config_set("maxmemory", "0")


@contextmanager
def slow(place: Place) -> Iterator[None]:
    """A network that delivers late, in both directions."""
    place.proxy.slow(EACH_WAY)
    try:
        yield
    finally:
        place.proxy.slow(0.0)


@contextmanager
def flapping(place: Place) -> Iterator[None]:
    """A network that serves for two seconds, is down for two, and so on."""
    place.proxy.flap(FLAP, FLAP)
    try:
        yield
    finally:
        place.proxy.steady()


FAULTS: Final = {"frozen": frozen, "full": full, "slow": slow, "flapping": flapping}


@dataclass(frozen=True)
class Counts:
    """The counts of the jobs by what became of them."""

    jobs: int
    succeeded: int
    lost: int
    """The jobs that nobody knows any more, or that did not end in time."""
    doubled: int
    """The prompts that were bought more than once."""
    failed: Counter[str]
    """By error, the jobs that ended without images; ``InDoubt`` is among them."""
    most_in_window: int
    """The most tasks that were created within one window of the quota."""
    during: int
    """The tasks that were created during the fault."""
    recovery: float
    """Seconds from the end of the fault until the next task was created."""
    loud: int
    """The lines at ERROR and above, of all processes of the fleet."""

    @property
    def in_doubt(self) -> int:
        return self.failed[errors.InDoubt.__name__]


def through(
    fault: str, *, jobs: int, quota: int, seconds: float, workers: int = 2, settings: dict[str, str]
) -> Counts:
    """Submit so many jobs, let the fault begin when a tenth has a task and last for ``seconds``, and wait.

    The fleet may create ``quota`` tasks in each second.
    """
    settings = {**settings, "LIMNER_RATE_REQUESTS": str(quota), "LIMNER_RATE_SECONDS": str(WINDOW)}
    with EmbeddedValkey(aof=True, appendfsync="always") as valkey, Proxy(HOST, valkey.port) as proxy:
        place = Place(valkey, proxy)
        provider = SandboxProvider(duration=0.1, creates=0, reads=0)
        with (
            LocalFleet(
                workers=workers, settings={**settings, "LIMNER_REDIS_URL": place.url}, provider=provider
            ) as fleet,
            Limner(place.url, timeout=2.0) as limner,
        ):
            submitted = limner.submit_many(f"kite {number}" for number in range(jobs))
            _wait_for(provider, jobs // 10)
            with FAULTS[fault](place):
                began = time.time()
                time.sleep(seconds)
                ends = time.time()
            over = time.time()
            deadline = time.monotonic() + jobs / quota + 120.0
            with ThreadPoolExecutor(WAITERS) as pool:
                outcomes = Counter(pool.map(lambda job: _end(job, deadline), submitted))
            fleet.check()
            tasks = provider.ledger()
            return _counts(outcomes, tasks, (began, ends, over), loud_lines(fleet.log_dir))


def loud_lines(folder: Path) -> int:
    """The number of lines at ERROR and above in the logs of a folder."""
    return sum(
        ": ERROR" in line or ": CRITICAL" in line or " ERROR " in line or " CRITICAL " in line
        for log in folder.glob("*.log")
        for line in log.read_text(errors="replace").splitlines()
    )


def _counts(
    outcomes: Counter[str], tasks: list[dict[str, object]], times: tuple[float, float, float], loud: int
) -> Counts:
    began, ends, over = times
    made = sorted(float(str(task["created_ms"])) / 1000 for task in tasks)
    bought = Counter(str(task["input"]["prompt"]) for task in tasks)  # type: ignore[index]
    gone = (errors.UnknownJob.__name__, errors.WaitTimeout.__name__)
    after = [at for at in made if at >= over]
    return Counts(
        jobs=outcomes.total(),
        succeeded=outcomes[""],
        lost=sum(outcomes[name] for name in gone),
        doubled=sum(count > 1 for count in bought.values()),
        failed=Counter({name: count for name, count in outcomes.items() if name and name not in gone}),
        most_in_window=max(bisect_left(made, at + WINDOW) - place for place, at in enumerate(made)),
        during=bisect_left(made, ends) - bisect_left(made, began),
        recovery=after[0] - over if after else 0.0,
        loud=loud,
    )


def _wait_for(provider: SandboxProvider, tasks: int) -> None:
    while int(provider.summary()["created"]) < tasks:
        time.sleep(PAUSE)


def _end(job: Job, deadline: float) -> str:
    """The name of the error in which the job ended; empty if it has images."""
    while True:
        try:
            job.result(max(0.1, deadline - time.monotonic()))
        except errors.StoreUnavailable:
            time.sleep(PAUSE)
            if time.monotonic() > deadline:
                return errors.WaitTimeout.__name__
        except (errors.JobFailed, errors.UnknownJob, errors.WaitTimeout) as error:
            return type(error).__name__
        else:
            return ""
