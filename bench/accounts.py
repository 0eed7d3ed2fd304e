"""The cost of many accounts when few of them have work: a claim's time, and a worker's CPU."""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import psutil

from bench import fleets
from bench.commandstats import Stats
from bench.ledger_path import Path, roomy
from bench.report import quantile, table
from limner import Limner
from limner._redis import connect
from limner.ledger.layout.constants import MOST_VISITS
from sandbox.local.valkey import EmbeddedValkey

JOBS: Final = int(os.environ.get("BENCH_ACCOUNTS_JOBS", "600"))
WARM_UP: Final = 90
PACE: Final = 60.0
CHUNK: Final = 6
"""Jobs submitted at a time, equally many for each account with work."""
ROUNDS: Final = int(os.environ.get("BENCH_ACCOUNTS_ROUNDS", "3"))
CLAIMS: Final = 200
GRANTS: Final = 5
CONFIGURED: Final = (1, 3, 10, 100, 500)
IN_A_FLEET: Final = (1, 3, 100)
BUSY: Final = 3
IDLE_SECONDS: Final = 10.0
DURATION: Final = 1.0
CLAIM_HEAD: Final = (
    "accounts",
    "with jobs",
    f"grants {GRANTS}: script ms",
    "p50, ms",
    "p99, ms",
    "redis.calls",
    "grants none: script ms",
    "p50, ms",
    "p99, ms",
    "redis.calls",
)


def run() -> Iterator[str]:
    """The tables."""
    yield f"{CLAIMS} claims of each kind, all accounts in each; p50 and p99 are the client's round trips.\n"
    yield from table(CLAIM_HEAD, [_claims(accounts) for accounts in CONFIGURED])
    yield (
        f"\n{JOBS} jobs of {DURATION:.0f} s, {PACE:.0f} a second, one worker; the median of {ROUNDS} rounds, "
        f"in turns. Idle is the time after, {IDLE_SECONDS:.0f} s of it.\n"
    )
    rounds = [[_fleet(accounts) for accounts in IN_A_FLEET] for _ in range(ROUNDS)]
    rows = [sorted(costs)[ROUNDS // 2] for costs in zip(*rounds, strict=True)]
    yield from table(
        [
            "accounts",
            "worker's CPU a job, ms",
            "Valkey's, ms",
            "scripts a job",
            "idle: worker, % of a core",
            "idle: Valkey, %",
            "resident, MB",
        ],
        [[accounts, *row] for accounts, row in zip(IN_A_FLEET, rows, strict=True)],
    )
    for place, accounts in enumerate(IN_A_FLEET[1:], 1):
        ratios = ", ".join(f"{costs[place][0] / costs[0][0]:.2f}" for costs in rounds)
        yield f"\nA job with {accounts} accounts of one with one, round by round: {ratios}."


def _names(accounts: int) -> list[str]:
    return [f"a{number}" for number in range(accounts)]


def _busy(names: list[str]) -> list[str]:
    # Spread over the whole list, as in a real configuration.
    return [names[place * len(names) // BUSY] for place in range(BUSY)] if len(names) >= BUSY else names


@dataclass
class _Kind:
    """The measurements of one kind of claim."""

    scripts: list[float] = field(default_factory=list)
    trips: list[float] = field(default_factory=list)
    commands: list[int] = field(default_factory=list)

    def cells(self) -> list[float]:
        trips = (quantile(self.trips, q) for q in (0.5, 0.99))
        return [
            1000 * quantile(self.scripts, 0.5),
            *(1000 * trip for trip in trips),
            quantile(self.commands, 0.5),
        ]


def _claims(accounts: int) -> list[object]:
    names = _names(accounts)
    busy = _busy(names)
    granting, vain = _Kind(), _Kind()
    with EmbeddedValkey(aof=True, appendfsync="always") as valkey:
        path = Path(valkey.url, [roomy(name) for name in names])
        for _ in range(accounts // MOST_VISITS + 2):
            path.claim()  # the first registers the accounts; each visits MOST_VISITS of them
        for number in range(GRANTS):
            assert path.submit(busy[number % len(busy)]).outcome == "created"
        for _ in range(CLAIMS):
            held = []
            for kind, expected in ((granting, GRANTS), (vain, 0)):
                before, began = Stats.read(path.client), time.perf_counter()
                steps = path.claim()
                kind.trips.append(time.perf_counter() - began)
                did = Stats.read(path.client).since(before)
                kind.scripts.append(did.script_seconds)
                kind.commands.append(did.commands)
                assert len(steps) == expected, f"{len(steps)} steps were granted, not {expected}"
                held += steps
            path.give_back(held)
    return [accounts, len(busy), *granting.cells(), *vain.cells()]


def _fleet(accounts: int) -> list[float]:
    names = _names(accounts)
    keys = {name: f"key-of-{name}" for name in names}
    settings = {
        "LIMNER_ACCOUNTS": json.dumps({name: {"key": f"env:BENCH_KEY_{name}"} for name in names}),
        "LIMNER_USUAL_SECONDS": json.dumps({"BALANCED": DURATION}),
        **{f"BENCH_KEY_{name}": key for name, key in keys.items()},
    }
    witness = fleets.provider(DURATION, accounts=",".join(f"{name}={key}" for name, key in keys.items()))
    with (
        fleets.fleet(0.0, workers=1, witness=witness, appendfsync="always", **settings) as fleet,
        Limner(fleet.redis_url) as producer,
        connect(fleet.redis_url) as server,
    ):
        worker = psutil.Process(fleet.workers[0].pid)
        _finish(producer, _busy(names), WARM_UP)
        used, did = sum(worker.cpu_times()[:2]), Stats.read(server)
        _finish(producer, _busy(names), JOBS)
        used, did = sum(worker.cpu_times()[:2]) - used, Stats.read(server).since(did)
        time.sleep(1.0)
        idle, rest = sum(worker.cpu_times()[:2]), Stats.read(server)
        time.sleep(IDLE_SECONDS)
        idle, rest = sum(worker.cpu_times()[:2]) - idle, Stats.read(server).since(rest)
        return [
            1000 * used / JOBS,
            1000 * did.cpu / JOBS,
            did.scripts / JOBS,
            100 * idle / IDLE_SECONDS,
            100 * rest.cpu / IDLE_SECONDS,
            worker.memory_info().rss / 1e6,
        ]


def _finish(producer: Limner, busy: list[str], count: int) -> None:
    jobs = []
    began = time.monotonic()
    for start in range(0, count, CHUNK):
        time.sleep(max(0.0, began + start / PACE - time.monotonic()))
        for name in busy:
            jobs += producer.submit_many(["a boat"] * (CHUNK // len(busy)), account=name)
    for job in jobs:
        job.result(120.0)
