"""Failovers of the fleet's Redis under load, and a Redis that is frozen, full, slow or flapping.

``python -m bench redis-outages`` runs both parts, and ``BENCH_REDIS_OUTAGES=failovers`` or ``=faults`` one.
"""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.failover import Outcome, under_load
from bench.fleets import ROOMY
from bench.report import table
from bench.weather import EACH_WAY, FAULTS, FLAP, loud_lines, through
from limner import Limner
from sandbox.kie.server import SandboxProvider
from sandbox.local.cluster import Cluster
from sandbox.local.fleet import LocalFleet
from sandbox.local.replication import Replicated
from sandbox.local.valkey import EmbeddedValkey

__all__ = ["run"]

SETTINGS: Final = {
    **ROOMY,
    "LIMNER_MAX_IN_FLIGHT": "500",
    "LIMNER_USUAL_SECONDS": '{"TURBO": 0.5, "BALANCED": 0.5, "QUALITY": 0.5}',
    "LIMNER_REDIS_TIMEOUT_SECONDS": "2",
}
AWAY: Final = 2.0
"""Seconds without a primary in an unplanned failover of a service address."""
SLOT: Final = "limner:{main}:any"
"""Any key of the ledger: all are in one slot."""
JOBS: Final = 500
QUOTA: Final = 10
"""Tasks a second, so that the jobs take 50 s."""
FAULT_SECONDS: Final = {"frozen": 10.0, "full": 10.0, "slow": 30.0, "flapping": 60.0}


@dataclass(frozen=True)
class Servers:
    """The URLs of a fleet, and a way to disturb its Redis that returns how long there was no server."""

    url: str
    disturb: Callable[[], float]
    broker: str | None = None
    """The URL of broker and results, if they are elsewhere."""


@dataclass(frozen=True)
class Failover:
    name: str
    durabilities: tuple[str, ...]
    begin: Callable[[ExitStack], Servers]


def planned(stack: ExitStack) -> Servers:
    """A service address whose old primary becomes a replica, and keeps its connections."""
    servers = stack.enter_context(Replicated(replicas=2, appendfsync="always"))
    return Servers(servers.service_url, lambda: timed(servers.fail_over))


def unplanned(stack: ExitStack) -> Servers:
    """A service address whose primary is killed."""
    servers = stack.enter_context(Replicated(replicas=2, appendfsync="always"))

    def die() -> None:
        servers.kill_primary(promote=False)
        time.sleep(AWAY)
        servers.promote()

    return Servers(servers.service_url, lambda: timed(die))


def watched(fault: Callable[[Replicated], None]) -> Callable[[ExitStack], Servers]:
    """Sentinels that find the fault, and promote a replica."""

    def begin(stack: ExitStack) -> Servers:
        servers = stack.enter_context(Replicated(replicas=2, sentinels=3, appendfsync="always"))

        def disturb() -> None:
            fault(servers)
            servers.wait_until_promoted()

        return Servers(servers.sentinel_url, lambda: timed(disturb))

    return begin


def moved(move: Callable[[Cluster], None]) -> Callable[[ExitStack], Servers]:
    """A cluster of three whose slot of the ledger moves."""

    def begin(stack: ExitStack) -> Servers:
        cluster, broker = stack.enter_context(Cluster()), stack.enter_context(EmbeddedValkey())
        return Servers(cluster.url, lambda: timed(lambda: move(cluster)), broker.url)

    return begin


FAILOVERS: Final = (
    Failover("service address, planned", ("server", "replica"), planned),
    Failover("service address, killed", ("server", "replica"), unplanned),
    Failover("Sentinel, killed", ("server", "replica"), watched(Replicated.kill_primary)),
    Failover("Sentinel, frozen", ("server", "replica"), watched(Replicated.freeze_primary)),
    Failover("cluster, slot by keys", ("server",), moved(lambda cluster: cluster.move_slot(SLOT, keys=20))),
    Failover(
        "cluster, slot atomically", ("server",), moved(lambda cluster: cluster.move_slot_atomically(SLOT))
    ),
)


def run() -> Iterator[str]:
    """The tables."""
    parts = {"failovers": failovers, "faults": faults}
    for part in os.environ.get("BENCH_REDIS_OUTAGES", ",".join(parts)).split(","):
        yield from parts[part]()
        yield ""


def failovers() -> Iterator[str]:
    """The table of failovers, 60 jobs a second by two workers."""
    head = ("failover", "durability", "jobs", "lost", "doubled", "in doubt", "submits not returned")
    rows = [_failover(failover, durability) for failover in FAILOVERS for durability in failover.durabilities]
    yield from table((*head, "no server, s", "silence, s", "lines at ERROR and above", "load"), rows)


def faults() -> Iterator[str]:
    """The table of faults, with jobs under way."""
    yield (
        f"{JOBS} jobs under way, {QUOTA} a second allowed, two workers; slow means {1000 * EACH_WAY:.0f} ms "
        f"each way, flapping {FLAP:.0f} s on and {FLAP:.0f} s off.\n"
    )
    head = ("Redis is", "for, s", "jobs", "succeeded", "lost", "doubled", "in doubt", "created meanwhile")
    yield from table(
        (*head, "most in a window", "until work goes on, s", "lines at ERROR and above", "load"),
        map(_fault, FAULTS),
    )


def _failover(failover: Failover, durability: str) -> list[object]:
    away: list[float] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="limner-logs-")))
        servers = failover.begin(stack)
        outcome = _outcome(servers, durability, folder, lambda: away.append(servers.disturb()))
        loud = loud_lines(folder)
    return [
        failover.name,
        durability,
        outcome.jobs,
        len(outcome.lost),
        len(outcome.doubled),
        outcome.in_doubt,
        outcome.refused,
        away[0],
        outcome.silent,
        loud,
        os.getloadavg()[0],
    ]


def _outcome(servers: Servers, durability: str, folder: Path, disturb: Callable[[], None]) -> Outcome:
    settings = {**SETTINGS, "LIMNER_REDIS_URL": servers.url, "LIMNER_DURABILITY": durability}
    if servers.broker:
        settings |= {"LIMNER_BROKER_URL": servers.broker, "LIMNER_RESULT_URL": servers.broker}
    provider = SandboxProvider(duration=0.1, creates=0, reads=0)
    with (
        LocalFleet(workers=2, settings=settings, provider=provider, log_dir=folder) as fleet,
        Limner(servers.url, durability=durability, timeout=2.0) as limner,
    ):
        outcome = under_load(limner, provider, disturb)
        fleet.check()
    return outcome


def _fault(name: str) -> list[object]:
    seconds = FAULT_SECONDS[name]
    counts = through(name, jobs=JOBS, quota=QUOTA, seconds=seconds, settings=SETTINGS)
    return [
        name,
        round(seconds),
        counts.jobs,
        counts.succeeded,
        counts.lost,
        counts.doubled,
        counts.in_doubt,
        counts.during,
        counts.most_in_window,
        counts.recovery,
        counts.loud,
        os.getloadavg()[0],
    ]


def timed(function: Callable[[], None]) -> float:
    """The seconds that a call takes."""
    began = time.monotonic()
    function()
    return time.monotonic() - began
