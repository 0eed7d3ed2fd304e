"""A neighbour's Celery app with default settings, beside a loaded fleet and alone, on one Redis database.

Runs with the fleet and without it alternate. The neighbour's acks_late tasks and its countdowns take longer
than a visibility timeout of the fleet's workers, which is scaled down.
"""

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any, Final

import redis
from celery import Celery

from bench import fleets, shop, short_visibility
from bench.report import quantile, table
from limner import Job, Limner, LimnerError
from sandbox.local.fleet import CHECKOUT, LocalFleet
from sandbox.local.valkey import EmbeddedValkey
from sandbox.processes.checkout import with_checkout
from sandbox.processes.children import Child

PROCESSES: Final = 8
"""The neighbour's worker has so many, so that its long tasks leave some free."""
WARM_UP: Final = 6.0
READY_SECONDS: Final = 60.0
PATIENCE: Final = 60.0


@dataclass(frozen=True)
class Plan:
    """The extent of the bench."""

    seconds: float = 60.0
    """The time in which tasks are sent in one run."""
    rounds: int = 1
    """Pairs of runs."""
    jobs_a_second: float = 10.0
    workers: int = 2


@dataclass(frozen=True)
class Run:
    """The neighbour's tasks in one run, and the fleet's jobs."""

    kinds: Mapping[str, int]
    lost: int
    """Tasks that never started."""
    doubled: int
    """Tasks that started more than once."""
    unanswered: int
    """Tasks whose result the producer did not get."""
    delays: Mapping[str, Sequence[float]]
    """Milliseconds from the time at which a task was due to its start, by kind."""
    jobs: int = 0
    jobs_lost: int = 0
    jobs_doubled: int = 0
    foreign: int = 0
    """Messages of others that the fleet's workers took, and messages left in its queues."""

    def delay(self, q: float, kind: str | None = None) -> float:
        """A quantile of the delays, of one kind or of all."""
        chosen = self.delays if kind is None else {kind: self.delays[kind]}
        return quantile([delay for delays in chosen.values() for delay in delays], q)


@dataclass
class Findings:
    """All runs: those alone, and those beside the fleet, pair by pair."""

    alone: list[Run] = field(default_factory=list)
    beside: list[Run] = field(default_factory=list)

    def violations(self) -> list[str]:
        """The counts that must be zero and are not. Delays are not among them: other programs change them."""
        runs = [*self.alone, *self.beside]
        counts = {name: sum(getattr(run, name) for run in runs) for name in PROMISED}
        return [f"{name}: {count}" for name, count in counts.items() if count]


PROMISED: Final = ("lost", "doubled", "unanswered", "jobs_lost", "jobs_doubled", "foreign")


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(prog="python -m bench neighbour", description=__doc__)
    made.add_argument("--seconds", type=float, default=120.0, help="beside the fleet, in all")
    made.add_argument("--rounds", type=int, default=4, help="over which they are spread")
    made.add_argument("--jobs", type=float, default=Plan.jobs_a_second, help="of the fleet, a second")
    return made


def run(arguments: Sequence[str] = ()) -> Iterator[str]:
    """The tables."""
    chosen = parser().parse_args(arguments)
    plan = Plan(chosen.seconds / chosen.rounds, chosen.rounds, chosen.jobs)
    yield from tables(neighbours(plan), plan)


def neighbours(plan: Plan) -> Findings:
    """Play all rounds."""
    findings = Findings()
    with (
        tempfile.TemporaryDirectory(prefix="limner-neighbour-") as folder,
        EmbeddedValkey(aof=True) as valkey,
        _shop(valkey.url, Path(folder)) as starts,
    ):
        _alone(valkey.url, starts, replace(plan, seconds=WARM_UP))
        for _ in range(plan.rounds):
            findings.alone.append(_alone(valkey.url, starts, plan))
            findings.beside.append(_beside(valkey.url, starts, plan))
    return findings


def tables(findings: Findings, plan: Plan) -> Iterator[str]:
    """The neighbour's tasks by kind, the pairs of runs, and the fleet's jobs."""
    yield (
        f"{plan.rounds} x {plan.seconds:g} s alone and beside a fleet of {plan.workers} workers with "
        f"{plan.jobs_a_second:g} jobs a second. Countdowns of {shop.COUNTDOWN:g} s, acks_late tasks of "
        f"{shop.SLOW_SECONDS:g} s, the fleet's visibility timeout {short_visibility.SECONDS:g} s.\n"
    )
    head = ["the neighbour's tasks", "", "sent", "start p50, ms", "p99"]
    yield from table(head, [row for kind in shop.PERIODS for row in _rows(findings, kind)])
    yield ""
    yield from table(
        ["round", "alone: p50, ms", "p99", "beside: p50, ms", "p99", "difference of p99"],
        [
            [
                number,
                *(round(each.delay(q), 1) for each in (alone, beside) for q in (0.5, 0.99)),
                round(beside.delay(0.99) - alone.delay(0.99), 1),
            ]
            for number, (alone, beside) in enumerate(zip(findings.alone, findings.beside, strict=True), 1)
        ],
    )
    yield ""
    yield from table(
        ["", "sent", "lost", "doubled", "without a result", "messages of others"],
        [
            ["the neighbour's tasks, alone", *_counts(findings.alone)],
            ["the neighbour's tasks, beside the fleet", *_counts(findings.beside)],
            [
                "the fleet's jobs",
                *(sum(getattr(run, name) for run in findings.beside) for name in ("jobs", "jobs_lost")),
                sum(run.jobs_doubled for run in findings.beside),
                "-",
                sum(run.foreign for run in findings.beside),
            ],
        ],
    )


def _rows(findings: Findings, kind: str) -> Iterator[list[object]]:
    for where, runs in (("alone", findings.alone), ("beside the fleet", findings.beside)):
        delays = [delay for each in runs for delay in each.delays[kind]]
        sent = sum(each.kinds[kind] for each in runs)
        yield [kind, where, sent, *(round(quantile(delays, q), 1) for q in (0.5, 0.99))]


def _counts(runs: Sequence[Run]) -> list[object]:
    sent = sum(sum(run.kinds.values()) for run in runs)
    return [sent, *(sum(getattr(run, name) for run in runs) for name in PROMISED[:3]), "-"]


def _environment(url: str, starts: Path) -> dict[str, str]:
    return with_checkout({**os.environ, shop.URL: url, shop.STARTS: str(starts)})


@contextmanager
def _shop(url: str, folder: Path) -> Iterator[Path]:
    """The neighbour's worker with Celery's defaults; yields the file with the starts of its tasks."""
    starts, log = folder / "starts", folder / "worker.log"
    starts.touch()
    command = ["celery", "-A", "bench.shop", "worker", "--concurrency", str(PROCESSES), "-l", "INFO"]
    with log.open("wb") as output:
        worker = Child([sys.executable, "-m", *command], output=output, env=_environment(url, starts))
    try:
        deadline = time.monotonic() + READY_SECONDS
        while " ready." not in log.read_text():
            assert worker.running, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield starts
    finally:
        worker.kill()


def _alone(url: str, starts: Path, plan: Plan) -> Run:
    with _producer(url, starts, plan) as producer:
        report, _ = producer.communicate(timeout=plan.seconds + 2 * shop.RESULT_SECONDS)
    return _run(json.loads(report), starts)


def _beside(url: str, starts: Path, plan: Plan) -> Run:
    with fleet_beside(url) as fleet, Limner(url) as limner:
        for _ in range(plan.workers):
            fleet.start_worker(arguments=["-I", short_visibility.__name__])
        limner.submit("warm-up").result(PATIENCE)
        plain = Celery(broker=url, backend=url)
        jobs: list[Job] = []
        load = threading.Thread(target=lambda: jobs.extend(_load(limner, plain, plan)))
        with _producer(url, starts, plan) as producer:
            load.start()
            report, _ = producer.communicate(timeout=plan.seconds + 2 * shop.RESULT_SECONDS)
            load.join()
        lost = sum(not _succeeds(job) for job in jobs)
        assert fleet.provider
        bought = Counter(task["input"]["prompt"] for task in fleet.provider.ledger())
        doubled = sum(count > 1 for count in bought.values())
        ours = {"jobs": len(jobs), "jobs_lost": lost, "jobs_doubled": doubled}
        return _run(json.loads(report), starts, **ours, foreign=_foreign(url, fleet, limner))


def fleet_beside(url: str) -> LocalFleet:
    """A fleet without workers on this Redis."""
    settings = {**fleets.ROOMY, "LIMNER_REDIS_URL": url}
    return LocalFleet(workers=0, settings=settings, provider=fleets.provider(1.0), log_level="WARNING")


@contextmanager
def _producer(url: str, starts: Path, plan: Plan) -> Iterator["Popen[str]"]:
    command = [sys.executable, "-m", shop.__name__, str(plan.seconds)]
    env = _environment(url, starts)
    with Popen(command, stdout=PIPE, text=True, env=env, cwd=CHECKOUT) as producer:
        try:
            yield producer
        finally:
            producer.kill()


def _load(limner: Limner, plain: Celery, plan: Plan) -> Iterator[Job]:
    """Jobs at the plan's rate, by our own producer and by plain Celery in turns."""
    began, mark = time.monotonic(), time.time_ns()
    for number in range(int(plan.seconds * plan.jobs_a_second)):
        time.sleep(max(0.0, began + number / plan.jobs_a_second - time.monotonic()))
        prompt = f"boat {mark} {number}"
        if number % 2:
            yield limner.submit(prompt)
        else:
            sent: Any = plain.send_task("limner.create_task", kwargs={"prompt": prompt}, queue="limner")
            yield limner.get(sent.id)


def _succeeds(job: Job) -> bool:
    try:
        return bool(job.result(PATIENCE).urls)
    except LimnerError:
        return False


def _foreign(url: str, fleet: LocalFleet, limner: Limner) -> int:
    """The messages that workers have refused or set aside, or that are left in the fleet's queues."""
    refused = sum(worker.log.read_text().count("a Celery message is refused") for worker in fleet.workers)
    taken = refused + len(limner.letters())
    with redis.Redis.from_url(url) as client:
        return taken + sum(int(client.llen(queue)) for queue in ("limner", "limner.steps"))


def _run(report: list[dict[str, Any]], starts: Path, **ours: int) -> Run:
    """The outcome of a run, from what the producer sent and the starts that the worker wrote down."""
    started: dict[str, list[float]] = {}
    for line in starts.read_text().splitlines():
        task_id, at = line.split()
        started.setdefault(task_id, []).append(float(at))
    delays: dict[str, list[float]] = {kind: [] for kind in shop.PERIODS}
    for task in report:
        if task["id"] in started:
            delays[task["kind"]].append((min(started[task["id"]]) - task["due"]) * 1000)
    return Run(
        kinds=Counter(task["kind"] for task in report),
        lost=sum(task["id"] not in started for task in report),
        doubled=sum(len(started.get(task["id"], ())) > 1 for task in report),
        unanswered=sum(not task["answered"] for task in report),
        delays=delays,
        **ours,
    )
