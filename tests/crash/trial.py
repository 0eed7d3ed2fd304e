"""Putting an edge of the matrix to the test: real processes, real deaths, and both ledgers at the end."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from celery import states

from limner import JobState, Limner
from limner._connection import connect
from limner.ledger import Ledger
from limner.ledger.record import Record
from limner.models import TextToImage
from sandbox.kie.server import SandboxProvider
from sandbox.local.fleet import FleetProcess, LocalFleet
from sandbox.local.valkey import EmbeddedValkey
from tests.crash.matrix import SETTINGS, SLACK, Edge, Outcome, Victim, Way
from tests.crash.points import AT, PID, STRUCK, TRAIL
from tests.integration.fleet.conftest import ROOMY, plain_celery

OUTAGE: Final = 1.0
"""Seconds for which Valkey is away: longer than a client's own repetition bridges."""
AT_ONCE: Final = 48
"""Trials under way: most of the time they wait for a lease."""
TO_THE_POINT: Final = 60.0
TICK: Final = 0.05

# From the start of the first worker until the last one is there, a trial keeps a core busy. More of them at
# once would make each wait for the others, and what is measured be the machine.
_BUSY = threading.BoundedSemaphore(3 * (os.cpu_count() or 1))


@dataclass(frozen=True)
class Finding:
    """What became of an edge's job."""

    edge: Edge
    struck: bool
    """Every process that should die at a point has died there."""
    outcome: Outcome
    seconds: float
    """From the last death to the result in the result backend."""
    late: float
    """Of these, what neither a wait by design nor the start of another worker explains."""
    log: tuple[str, ...]
    """What the job's log says."""

    @property
    def kept(self) -> bool:
        """Whether the promise was kept."""
        return self.struck and self.outcome in self.edge.promise and self.late <= SLACK

    def __str__(self) -> str:
        told = "" if self.struck else "; nobody died there"
        said = f"{self.outcome}{told}, {self.seconds:.1f} s ({self.late:.1f} late)"
        return "\n  ".join([f"{self.edge.name}: {said}", *self.log])


@contextmanager
def providers() -> Iterator[Callable[[Way], SandboxProvider]]:
    """What gives the stand-in for a way: a shared one if it may be, started when first asked for."""
    with ExitStack() as running:
        shared: dict[str, SandboxProvider] = {}
        lock = threading.Lock()

        def give(way: Way) -> SandboxProvider:
            with lock:
                if not way.shares_provider or way.name not in shared:
                    shared[way.name] = running.enter_context(
                        SandboxProvider(faults=way.faults, duration=way.duration, creates=0, reads=0)
                    )
                return shared[way.name]

        yield give


def try_all(edges: Sequence[Edge]) -> list[Finding]:
    """Every edge, many at once, each on a fleet and a Valkey of its own."""
    with providers() as provider_for, ThreadPoolExecutor(AT_ONCE) as pool:
        # Those that wait for longest go first, so that they do not wait alone in the end.
        order = sorted(edges, key=lambda edge: -edge.waits)
        found = dict(
            zip(order, pool.map(lambda edge: try_edge(edge, provider_for(edge.way)), order), strict=True)
        )
        return [found[edge] for edge in edges]


def walk_all(ways: Sequence[Way]) -> set[str]:
    """Every point that the jobs of these ways come by when nothing dies."""
    with providers() as provider_for, ThreadPoolExecutor(AT_ONCE) as pool:
        return set().union(*pool.map(lambda way: walk(way, provider_for(way)), ways))


def try_edge(edge: Edge, provider: SandboxProvider) -> Finding:
    """One edge, to the end of its job or to the end of patience."""
    with _fleet(edge.way, provider, callbacks=edge.callbacks) as fleet:
        return _Trial(edge, _Job(edge.name, edge.way, fleet), provider).run()


def walk(way: Way, provider: SandboxProvider) -> set[str]:
    """The points that one job of this way comes by."""
    with _fleet(way, provider) as fleet:
        job, trail = _Job(way.name, way, fleet), fleet.log_dir / "trail"
        with _BUSY:
            worker = job.start_worker({TRAIL: str(trail)})
            job.submit()
            if way.stopped:
                job.stop(worker)
                _until(lambda: not worker.running, TO_THE_POINT)
            else:
                _until(job.is_over, TO_THE_POINT)
        return set(trail.read_text().splitlines())


@contextmanager
def _fleet(way: Way, provider: SandboxProvider, *, callbacks: bool = False) -> Iterator[LocalFleet]:
    fleet = LocalFleet(
        workers=0,
        callbacks=callbacks,
        valkey=EmbeddedValkey(aof=True, appendfsync="always"),
        settings={
            **ROOMY,
            **SETTINGS,
            **way.settings,
            "LIMNER_API_URL": provider.url,
            "LIMNER_API_KEY": min(provider.options.accepted_keys),
        },
    )
    with fleet:
        yield fleet
        for index in range(len(fleet.workers)):
            fleet.kill_worker(index)  # there is nothing to be drained


class _Job:
    """A job, and the fleet that it is alone on."""

    def __init__(self, prompt: str, way: Way, fleet: LocalFleet) -> None:
        self.prompt, self.way, self.fleet = prompt, way, fleet
        self.id = ""
        self._redis = connect(fleet.redis_url)
        self.ledger = Ledger(self._redis)
        self._celery = plain_celery(fleet.redis_url)

    def start_worker(self, marks: Mapping[str, str] = MappingProxyType({})) -> FleetProcess:
        arguments = ["-I", "tests.crash.points"] if marks else []
        return self.fleet.start_worker(settings=marks, arguments=arguments)

    def submit(self) -> None:
        if self.way.from_celery:
            self.id = self._celery.send_task("limner.create_task", kwargs={"prompt": self.prompt}).id
        else:
            with Limner(self.fleet.redis_url) as limner:
                self.id = limner.submit(TextToImage(prompt=self.prompt)).id

    def stop(self, worker: FleetProcess) -> None:
        """SIGTERM, once the task is accepted."""
        _until(self._is_generating, TO_THE_POINT)
        worker.child.signal(signal.SIGTERM)

    def record(self) -> Record | None:
        return self.ledger.jobs.read(self.id)

    def is_over(self) -> bool:
        """Whether nothing more happens by itself: the result is in the backend, or a person is asked."""
        record = self.record()
        if record is None or not record.state.ended:
            return record is not None and record.held_at is not None
        stored = self._redis.hget(self.ledger.jobs.key(self.id), "stored")
        expected = states.SUCCESS if record.state is JobState.SUCCEEDED else states.FAILURE
        return bool(stored == "1" and self._celery.AsyncResult(self.id).state == expected)

    def end(self) -> str:
        record = self.record()
        if record is None:
            return "unknown"
        if record.failure:
            return type(record.failure).__name__
        return "held" if record.held_at else record.state.value

    def _is_generating(self) -> bool:
        record = self.record()
        return record is not None and record.state is JobState.GENERATING


class _Trial:
    def __init__(self, edge: Edge, job: _Job, provider: SandboxProvider) -> None:
        assert job.fleet.valkey
        self.edge, self.job, self.provider, self.valkey = edge, job, provider, job.fleet.valkey

    def run(self) -> Finding:
        with _BUSY:
            struck = all(self._die(number, point) for number, point in enumerate(self.edge.deaths))
            died = time.monotonic()
            self._recover()
            back = time.monotonic()
        expected = max(died + self.edge.waits, back)
        _until(self.job.is_over, expected + 2 * SLACK - back)
        ended = time.monotonic()
        bought = sum(task["billed"] > 0 for task in self.provider.ledger(prompt=self.job.prompt))
        return Finding(
            edge=self.edge,
            struck=struck,
            outcome=Outcome(self.job.end(), bought),
            seconds=ended - died,
            late=max(0.0, ended - expected),
            log=tuple(f"{entry.event} {entry.detail}" for entry in self.job.ledger.journal.log(self.job.id)),
        )

    def _die(self, number: int, point: str) -> bool:
        """Whether what should die at the point did."""
        trail = self.job.fleet.log_dir / f"trail-{number}"
        marks = {TRAIL: str(trail), AT: point}
        if self.edge.victim is Victim.VALKEY:
            marks[PID] = str(self.valkey.pid)
        worker = self.job.start_worker(marks)
        if not self.job.id:
            self.job.submit()
        if self.edge.way.stopped:
            self.job.stop(worker)
        struck = _until(lambda: _has_struck(trail, point), TO_THE_POINT)
        if self.edge.victim is Victim.VALKEY:
            return struck
        return struck and _until(lambda: worker.child.returncode == -signal.SIGKILL, TO_THE_POINT)

    def _recover(self) -> None:
        """Bring back what died."""
        if self.edge.victim is Victim.VALKEY:
            time.sleep(OUTAGE)
            self.valkey.restart()
        if self.edge.victim is Victim.WORKER or self.edge.way.stopped:
            self.job.start_worker()


def _has_struck(trail: Path, point: str) -> bool:
    return trail.exists() and f"{STRUCK}{point}\n" in trail.read_text()


def _until(condition: Callable[[], object], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(TICK)
    return True
