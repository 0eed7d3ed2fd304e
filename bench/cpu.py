"""CPU a job of the workers and the server, compared with plain Celery and taskiq at equally many polls."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from itertools import product
from types import MappingProxyType
from typing import Final

import psutil

from bench.commandstats import Stats
from bench.contenders import PACE, Load, Others, Running, limner
from bench.report import quantile, table
from limner._redis import connect
from sandbox.local.valkey import EmbeddedValkey

JOBS: Final = int(os.environ.get("BENCH_CPU_JOBS", "1000"))
WARM_UP: Final = 150
ROUNDS: Final = int(os.environ.get("BENCH_CPU_ROUNDS", "3"))
WORKERS: Final = 8

ONE: Final = Load(
    name="one poll",
    tasks=MappingProxyType({"duration": 1.0}),
    celery_every=2.5,
    taskiq_every=2.5,
    usual=1.0,
)
TWO: Final = Load(
    name="two polls",
    tasks=MappingProxyType({"median": 3.0, "sigma": 0.5, "tail": 0.0, "seed": 1974}),
    celery_every=1.5,
    taskiq_every=2.05,
    usual=3.0,
)
"""Tasks with a spread of durations, which take about two polls.

Tasks of a constant duration take only one poll of a policy that learns it.
"""

LIMNER, CELERY, TASKIQ = "Limner", "plain Celery", "taskiq"
Name = tuple[str, str]
"""The contender and the circumstances."""
MANY: Final = f"one poll, {WORKERS} workers"
INFO: Final = "one poll, at INFO"


@dataclass(frozen=True)
class Cost:
    """The cost of a job: milliseconds of the workers' CPU, polls, and the server's work.

    ``resident`` is the workers' memory at the end, in MB.
    """

    user: float
    system: float
    polls: float
    resident: float
    server: float
    commands: float
    scripts: float
    script_ms: float

    @property
    def total(self) -> float:
        return self.user + self.system


def measure(contender: AbstractContextManager[Running]) -> Cost:
    """Run the warm-up and then the jobs, and read all CPU times before and after."""
    with contender as running, connect(running.redis_url) as server:
        running.finish(WARM_UP)
        processes = [
            process
            for parent in map(psutil.Process, running.pids)
            for process in (parent, *parent.children(recursive=True))
        ]
        before, reads, did = _times(processes), running.provider.summary()["reads"], Stats.read(server)
        running.finish(JOBS)
        after, did = _times(processes), Stats.read(server).since(did)
        return Cost(
            user=1000 * (after[0] - before[0]) / JOBS,
            system=1000 * (after[1] - before[1]) / JOBS,
            polls=(running.provider.summary()["reads"] - reads) / JOBS,
            resident=sum(process.memory_info().rss for process in processes) / 1e6,
            server=1000 * did.cpu / JOBS,
            commands=did.commands / JOBS,
            scripts=did.scripts / JOBS,
            script_ms=1000 * did.script_seconds / did.scripts if did.scripts else 0.0,
        )


def _times(processes: list[psutil.Process]) -> tuple[float, float]:
    times = [process.cpu_times() for process in processes]
    return sum(cpu.user for cpu in times), sum(cpu.system for cpu in times)


def run() -> Iterator[str]:
    """The tables: medians of several alternating rounds, because the machine is shared."""
    rounds: list[Mapping[Name, Cost]] = []
    with EmbeddedValkey(aof=True, appendfsync="always") as valkey:
        contenders = _contenders(Others(valkey))
        for _ in range(ROUNDS):
            rounds.append({name: measure(start()) for name, start in contenders.items()})  # noqa: PERF401 - long
    medians = {name: _median([costs[name] for costs in rounds]) for name in contenders}
    yield (
        f"{JOBS} jobs, {PACE:.0f} a second, no callbacks, one worker process except in one row, `appendfsync "
        f"always`; the median of {ROUNDS} rounds, in turns.\n"
    )
    yield from table(
        ["worker", "circumstances", "CPU a job, ms", "user", "system", "polls a job", "resident, MB"],
        [
            [*name, cost.total, cost.user, cost.system, cost.polls, cost.resident]
            for name, cost in medians.items()
        ],
    )
    yield "\nRound by round:\n"
    yield from table(
        ["ratio", *(f"round {number}" for number in range(1, ROUNDS + 1)), "median"], _ratios(rounds)
    )
    yield "\nThe server, of a job; commands are those of scripts and of clients together:\n"
    yield from table(
        ["worker", "circumstances", "server's CPU, ms", "commands", "scripts called", "ms a script"],
        [[*name, cost.server, cost.commands, cost.scripts, cost.script_ms] for name, cost in medians.items()],
    )


def _contenders(others: Others) -> dict[Name, Callable[[], AbstractContextManager[Running]]]:
    contenders: dict[Name, Callable[[], AbstractContextManager[Running]]] = {}
    starts = {LIMNER: limner, CELERY: others.celery, TASKIQ: others.taskiq}
    for load in (ONE, TWO):
        for who, start in starts.items():
            contenders[who, load.name] = partial(start, load)
    for who in (LIMNER, CELERY):
        contenders[who, INFO] = partial(starts[who], ONE, "INFO")
    contenders[LIMNER, MANY] = partial(limner, ONE, workers=WORKERS)
    return contenders


def _median(costs: list[Cost]) -> Cost:
    return sorted(costs, key=lambda cost: cost.total)[len(costs) // 2]


def _ratios(rounds: list[Mapping[Name, Cost]]) -> Iterator[list[object]]:
    def row(name: str, ratios: list[float]) -> list[object]:
        return [name, *ratios, quantile(ratios, 0.5)]

    pairs: list[tuple[str, Name, Name]] = [
        (f"Limner of {other}, {what}", (LIMNER, what), (other, what))
        for other, what in product((CELERY, TASKIQ), (ONE.name, TWO.name))
    ]
    pairs.append((f"Limner of {CELERY}, {INFO}", (LIMNER, INFO), (CELERY, INFO)))
    pairs += [(f"{who} at INFO, of WARNING", (who, INFO), (who, ONE.name)) for who in (LIMNER, CELERY)]
    pairs.append((f"Limner's {WORKERS} workers of one", (LIMNER, MANY), (LIMNER, ONE.name)))
    for name, this, that in pairs:
        yield row(name, [costs[this].total / costs[that].total for costs in rounds])
    for other, polls in product((CELERY, TASKIQ), (1.0, 2.0)):
        name = f"Limner of {other} at exactly {polls:.1f} polls"
        yield row(name, [_at(costs, LIMNER, polls) / _at(costs, other, polls) for costs in rounds])


def _at(costs: Mapping[Name, Cost], who: str, polls: float) -> float:
    """A contender's cost of a job at a number of polls, by linear interpolation between the two loads."""
    few, more = costs[who, ONE.name], costs[who, TWO.name]
    return few.total + (more.total - few.total) / (more.polls - few.polls) * (polls - few.polls)
