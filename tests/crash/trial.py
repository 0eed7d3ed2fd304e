"""The trial of an edge of the matrix: real processes, real deaths, and both ledgers at the end."""

import os
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from celery import states

from limner import JobState, Limner
from limner._redis import connect
from limner.ledger import Ledger
from limner.ledger.record import Record
from limner.models import TextToImage
from limner.status import LogEntry
from sandbox.kie.server import SandboxProvider
from sandbox.local.fleet import FleetProcess, LocalFleet
from sandbox.local.valkey import EmbeddedValkey
from tests.copies import compare
from tests.crash.matrix import SETTINGS, SLACK, Edge, Outcome, Victim, Way
from tests.crash.points import AT, PID, STRUCK, TRAIL
from tests.integration.fleet.conftest import ROOMY, plain_celery

OUTAGE: Final = 1.0
"""Seconds of Valkey's outage: longer than a client's own retries."""
AT_ONCE: Final = 48
"""The most concurrent trials, which mostly wait for a lease."""
TO_THE_POINT: Final = 60.0
TICK: Final = 0.05

# A trial keeps a core busy from the start of its first worker until its last one is ready. With more of them
# at once, each would wait for the others, and the times would depend on the machine.
_BUSY = threading.BoundedSemaphore(3 * (os.cpu_count() or 1))


@dataclass(frozen=True)
class Finding:
    """The result of an edge's trial."""

    edge: Edge
    struck: bool
    """True if every process died at its point."""
    outcome: Outcome
    seconds: float
    """The time from the last death to the result in the result backend."""
    books: tuple[Decimal, Decimal]
    """The credits that the provider charged, and those that our ledger has as spent or possible."""
    late: float
    """The part of ``seconds`` that neither a wait by design nor the start of another worker explains."""
    log: tuple[str, ...]
    """The job's log."""
    copies: tuple[str, ...] = ()
    """The disagreements of the folder of copies with the record and with the stand-in."""

    @property
    def kept(self) -> bool:
        """True if the promise was kept."""
        charged, booked = self.books
        promised = self.outcome in self.edge.promise and charged <= booked and not self.copies
        return self.struck and promised and self.late <= SLACK

    def __str__(self) -> str:
        missed = "" if self.struck else "; nobody died there"
        books = "{} credits charged, {} on the books".format(*self.books)
        result = f"{self.outcome}{missed}, {self.seconds:.1f} s ({self.late:.1f} late), {books}"
        return "\n  ".join([f"{self.edge.name}: {result}", *self.copies, *self.log])


@contextmanager
def providers() -> Iterator[Callable[[Way], SandboxProvider]]:
    """A function that returns the stand-in for a way, shared if possible, and starts it on first use."""
    with ExitStack() as running:
        shared: dict[str, SandboxProvider] = {}
        lock = threading.Lock()

        def provider_of(way: Way) -> SandboxProvider:
            with lock:
                if not way.shares_provider or way.name not in shared:
                    shared[way.name] = running.enter_context(
                        SandboxProvider(faults=way.faults, duration=way.duration, creates=0, reads=0)
                    )
                return shared[way.name]

        yield provider_of


def try_all(edges: Sequence[Edge]) -> list[Finding]:
    """Try every edge, many at once, each with its own fleet and Valkey."""
    with providers() as provider_for, ThreadPoolExecutor(AT_ONCE) as pool:
        # The edges with the longest waits go first, so that they do not wait alone at the end.
        order = sorted(edges, key=lambda edge: -edge.waits)
        findings = dict(
            zip(order, pool.map(lambda edge: try_edge(edge, provider_for(edge.way)), order), strict=True)
        )
        return [findings[edge] for edge in edges]


def walk_all(ways: Sequence[Way]) -> set[str]:
    """The points that the jobs of these ways pass when nothing dies."""
    with providers() as provider_for, ThreadPoolExecutor(AT_ONCE) as pool:
        return set().union(*pool.map(lambda way: walk(way, provider_for(way)), ways))


def try_edge(edge: Edge, provider: SandboxProvider) -> Finding:
    """Try one edge until its job has ended or the patience is used up."""
    with _fleet(edge.way, provider, callbacks=edge.callbacks) as fleet:
        return _Trial(edge, _Job(edge.name, edge.way, fleet), provider).run()


def walk(way: Way, provider: SandboxProvider) -> set[str]:
    """The points that one job of this way passes."""
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
                _until(lambda: _is_complete(trail.read_text().splitlines()), SLACK)
        return set(trail.read_text().splitlines())


def _is_complete(points: Sequence[str]) -> bool:
    """True if each write that was begun has been noted as done. A claim may find nothing to do."""
    begun = Counter(point.removeprefix("before ") for point in points if point.startswith("before "))
    done = Counter(point.removeprefix("after ") for point in points if point.startswith("after "))
    return all(count <= done[write] for write, count in begun.items() if not write.startswith("claim"))


@contextmanager
def _fleet(way: Way, provider: SandboxProvider, *, callbacks: bool = False) -> Iterator[LocalFleet]:
    with tempfile.TemporaryDirectory(prefix="limner-crash-") as folder:
        copying = {
            "LIMNER_COPY_TO": Path(folder).as_uri(),
            "LIMNER_COPY_PLAIN_HOSTS": "127.0.0.1",
        }
        with _started(way, provider, copying if way.copies else {}, callbacks=callbacks) as fleet:
            yield fleet


@contextmanager
def _started(
    way: Way, provider: SandboxProvider, copying: Mapping[str, str], *, callbacks: bool
) -> Iterator[LocalFleet]:
    fleet = LocalFleet(
        workers=0,
        callbacks=callbacks,
        valkey=EmbeddedValkey(aof=True, appendfsync="always"),
        settings={
            **ROOMY,
            **SETTINGS,
            **way.settings,
            **copying,
            "LIMNER_API_URL": provider.url,
            "LIMNER_API_KEY": min(provider.options.accepted_keys),
        },
    )
    with fleet:
        yield fleet
        for index in range(len(fleet.workers)):
            fleet.kill_worker(index)  # no step needs to be finished


class _Job:
    """A job, and the fleet on which it is the only one."""

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
            self.id = self._celery.send_task(
                "limner.create_task", kwargs={"prompt": self.prompt}, queue="limner"
            ).id
        else:
            with Limner(self.fleet.redis_url) as limner:
                request = TextToImage(prompt=self.prompt, num_images=2 if self.way.copies else 1)
                self.id = limner.submit(request).id

    def stop(self, worker: FleetProcess) -> None:
        """Send SIGTERM to the worker after the task is accepted."""
        _until(self._is_generating, TO_THE_POINT)
        worker.child.signal(signal.SIGTERM)

    def record(self) -> Record | None:
        return self.ledger.jobs.read(self.id)

    def is_over(self) -> bool:
        """True if the result is in the backend, or a person must decide."""
        record = self.record()
        if record is None or not record.state.ended:
            return record is not None and record.held_at is not None
        if self.way.read_again_after is not None and record.state is JobState.FAILED:
            self._have_it_read_again(record, self.way.read_again_after)
            return False
        if self._redis.hget(self.ledger.jobs.key(self.id), "stored") != "1":
            return False
        expected = states.SUCCESS if record.state is JobState.SUCCEEDED else states.FAILURE
        result: Any = self._celery.AsyncResult(self.id)
        return bool(result.state == expected and (not self.way.copies or result.result["copied"]))

    def _have_it_read_again(self, record: Record, wait: float) -> None:
        accepted = record.accepted_at
        if accepted and datetime.now(UTC) - accepted > timedelta(seconds=wait):
            self.ledger.jobs.reread(self.id)

    def booked(self) -> Decimal:
        """The credits of the job that our ledger has as spent, held or doubtful."""
        with Limner(self.fleet.redis_url) as limner:
            books = limner.spend(2)
        return sum((day.spent for day in books.days), books.standing.held + books.standing.doubtful)

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
        log = self.job.ledger.journal.log(self.job.id)
        billed = [task["billed"] for task in self.provider.ledger(prompt=self.job.prompt) if task["billed"]]
        return Finding(
            edge=self.edge,
            struck=struck,
            outcome=Outcome(self.job.end(), len(billed)),
            books=(Decimal(str(sum(billed))), self.job.booked()),
            seconds=ended - died,
            late=max(0.0, ended - expected),
            log=tuple(f"{entry.event} {entry.detail}" for entry in log),
            copies=tuple(self._copies(log)) if self.edge.way.copies else (),
        )

    def _copies(self, log: Sequence[LogEntry]) -> Iterator[str]:
        ends = sum(entry.event == JobState.SUCCEEDED for entry in log)
        if ends != 1:
            yield f"the job has ended {ends} times"
        record = self.job.record()
        # Only this job's tasks: trials share a stand-in.
        tasks = {task["task_id"] for task in self.provider.ledger(prompt=self.job.prompt)}
        files = [file for file in self.provider.files() if file["task_id"] in tasks]
        folder = Path(self.job.fleet.environment["LIMNER_COPY_TO"].removeprefix("file://"))
        yield from compare(folder, record.copies if record else (), files)

    def _die(self, number: int, point: str) -> bool:
        """Return True if the victim died at the point."""
        trail = self.job.fleet.log_dir / f"trail-{number}"
        marks = {TRAIL: str(trail), AT: point}
        if self.edge.victim is Victim.VALKEY:
            marks[PID] = str(self.valkey.pid)
        worker = self.job.start_worker(marks)
        if not self.job.id:
            self.job.submit()
        if self.edge.way.stopped:
            self.job.stop(worker)
        struck = _until(lambda: self._has_struck(trail, point), TO_THE_POINT)
        if self.edge.victim is Victim.VALKEY:
            return struck
        return struck and _until(lambda: worker.child.returncode == -signal.SIGKILL, TO_THE_POINT)

    def _has_struck(self, trail: Path, point: str) -> bool:
        if trail.exists() and f"{STRUCK}{point}\n" in trail.read_text():
            return True
        if self.edge.way.read_again_after is not None:
            self.job.is_over()
        return False

    def _recover(self) -> None:
        """Restart the victim."""
        if self.edge.victim is Victim.VALKEY:
            time.sleep(OUTAGE)
            self.valkey.restart()
        if self.edge.victim is Victim.WORKER or self.edge.way.stopped:
            self.job.start_worker()


def _until(condition: Callable[[], object], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(TICK)
    return True
