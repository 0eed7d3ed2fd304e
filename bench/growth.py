"""The memory of the ledger against a formula, and the slowest commands with 100,000 lanes.

Jobs go through the scripts without workers. The first Valkey gets many jobs of 1,000 lanes, and its memory is
compared with :data:`BYTES` when all of them wait, when all of them have ended, and when what had a time to
live is gone. The second one gets a lane for each job, and SLOWLOG tells which commands were slow.
"""

import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final

from bench.ledger_path import MONEY, REQUEST, Path, roomy
from bench.report import table
from limner.errors import InDoubt
from limner.ledger import Ledger, Quota
from limner.ledger.layout.keys import EVENTS, MONEY_LANES
from limner.ledger.messages import to_ms
from limner.ledger.scripts.calls import AcceptedCall, BeginCall
from limner.ledger.scripts.encoding import of_caps, of_prices
from limner.submission import prepare
from sandbox.local.valkey import EmbeddedValkey
from worker.services import POLLS_IN_A_MESSAGE

JOBS: Final = int(os.environ.get("BENCH_GROWTH_JOBS", "100000"))
LANES: Final = 1000
DRIVEN: Final = 3000
"""The jobs of the second Valkey that go the whole way."""
CLAIM: Final = 100
"""The steps of a claim, as a worker asks for them."""
SHIFTED: Final = 10_000
SUBMITTED_AT_ONCE: Final = 500
WEEK: Final = 7 * 86_400
SLOW: Final = 5000
LOGGED: Final = 1000
"""Microseconds: what no script may take, and what is reported."""

BYTES: Final = {"waiting": 1250, "ended": 3750, "lane": 200, "lane of the day": 80, "event": 250}
"""The formula: bytes of a waiting job, of an ended one with its result, of a lane with waiting jobs, of a
lane with spending of the day, and of an event. The request of a job has a line, and there are no metadata."""


def run() -> Iterator[str]:
    """The tables."""
    yield from _growth()
    yield from _lanes()


# Growth


@dataclass(frozen=True)
class Sight:
    """The contents of a ledger at a moment, and the memory that it takes."""

    moment: str
    measured: int
    waiting: int = 0
    ended: int = 0
    lanes: int = 0
    lanes_of_day: int = 0
    events: int = 0

    @property
    def formula(self) -> int:
        """The bytes that the formula gives."""
        counts = (self.waiting, self.ended, self.lanes, self.lanes_of_day, self.events)
        return sum(count * each for count, each in zip(counts, BYTES.values(), strict=True))

    def row(self) -> list[object]:
        """The row of the table."""
        ratio = self.measured / self.formula if self.formula else ""
        counts = (self.waiting, self.ended, self.lanes, self.events)
        return [
            self.moment,
            *(f"{count:,}" for count in counts),
            self.measured / 1e6,
            self.formula / 1e6,
            ratio,
        ]


def _growth() -> Iterator[str]:
    yield f"{JOBS:,} jobs of {LANES:,} lanes, one client:\n"
    began = time.monotonic()
    with EmbeddedValkey() as valkey:
        path = Path(valkey.url)
        ledger = Ledger(path.client)
        _drive(path, 1, ledger, 1)  # loads the scripts
        path.client.flushall()
        empty = _used(path)
        sights = []
        _submit(ledger, JOBS, LANES)
        sights.append(_sight(path, ledger, empty, "all wait", waiting=JOBS, lanes=LANES))
        _finish(path, ledger, JOBS, at_once=50)
        sights.append(_sight(path, ledger, empty, "all have ended", ended=JOBS))
        _let_expire(path)
        sights.append(_sight(path, ledger, empty, "a week later"))
    head = ("moment", "waiting", "ended", "lanes", "events", "measured, MB", "formula, MB", "ratio")
    yield from table(head, [sight.row() for sight in sights])
    yield f"\nIt took {time.monotonic() - began:.0f} s.\n"


def _sight(path: Path, ledger: Ledger, empty: int, moment: str, **counts: int) -> Sight:
    today = int(time.time() // 86_400)
    return Sight(
        moment,
        _used(path) - empty,
        lanes_of_day=path.client.hlen(MONEY_LANES(ledger.prefix, today)),
        events=path.client.xlen(EVENTS(ledger.prefix)),
        **counts,
    )


def _used(path: Path) -> int:
    # The buffers of clients shrink only with time.
    told = path.client.info("memory")
    return int(told["used_memory"] - told["mem_clients_normal"])


def _submit(ledger: Ledger, jobs: int, lanes: int) -> list[str]:
    told: list[str] = []
    for start in range(0, jobs, SUBMITTED_AT_ONCE):
        numbers = range(start, min(jobs, start + SUBMITTED_AT_ONCE))
        new = [prepare(REQUEST, lane=f"tenant {number % lanes}") for number in numbers]
        told += [each.job_id for each in ledger.jobs.submit_many(new)]
    return told


def _drive(path: Path, jobs: int, ledger: Ledger, lanes: int) -> None:
    _submit(ledger, jobs, lanes)
    _finish(path, ledger, jobs)


def _finish(path: Path, ledger: Ledger, jobs: int, at_once: int = POLLS_IN_A_MESSAGE) -> None:
    """Drive waiting jobs to their ends, each step of many jobs in one round trip."""
    leases, ended = ledger.jobs.leases, 0
    while ended < jobs:
        steps = ledger.queue.claim(roomy(), money=MONEY, batch=min(CLAIM, jobs)).steps
        begun = [
            BeginCall(
                job=step.job_id,
                lease=step.lease,
                token=f"{step.job_id}-{step.lease}",
                epoch=None,
                moves=0,
                attempts=0,
                send_lease=to_ms(leases.send),
                store_lease=0,
                deadline=900_000,
                prices=of_prices(MONEY),
                caps=of_caps(MONEY),
            )
            for step in steps
            if step.step == "create"
        ]
        if begun:
            ledger.store.run_durably(*begun)
            ledger.store.run_durably(
                *(
                    AcceptedCall(job=one.job, attempt=1, task_id=f"task-of-{one.job}", delay=0)
                    for one in begun
                )
            )
        polls = [step for step in steps if step.step == "poll"]
        for start in range(0, len(polls), at_once):
            together = polls[start : start + at_once]
            path.begin_polls(together)
            path.report(together, over=True)
            ended += len(together)


def _let_expire(path: Path) -> None:
    """Remove what will be gone after a week, as if it had passed."""
    cursor = 0
    while True:
        cursor, piece = path.client.scan(cursor, count=1000)
        with path.client.pipeline(transaction=False) as pipe:
            for key in piece:
                pipe.ttl(key)
            for key, left in zip(piece, pipe.execute(), strict=True):
                if 0 < left <= WEEK:
                    pipe.unlink(key)
            pipe.execute()
        if not cursor:
            return


# Lanes


@dataclass
class Slowest:
    """The slowest command of each stage, and the number of those that were too slow."""

    client: Any
    worst: dict[str, tuple[int, str]] = field(default_factory=dict)
    slow: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Look at the commands of the block."""
        self.client.slowlog_reset()
        yield
        for entry in self.client.slowlog_get(10_000):
            command = entry["command"].decode().split(" ")[0]
            if command in ("SLOWLOG", "CONFIG", "FLUSHALL"):
                continue
            took = int(entry["duration"])
            self.worst[name] = max(self.worst.get(name, (0, "")), (took, command))
            self.slow[name] += took > SLOW

    def rows(self, stages: dict[str, int]) -> Iterator[list[object]]:
        """A row for each stage."""
        for name, calls in stages.items():
            took, command = self.worst.get(name, (0, f"none above {LOGGED / 1000:g}"))
            yield [name, f"{calls:,}", took / 1000, command, self.slow[name]]


def _lanes() -> Iterator[str]:
    yield f"{JOBS:,} jobs, each in a lane of its own:\n"
    with EmbeddedValkey() as valkey:
        _prefer(valkey.pid)
        path = Path(valkey.url)
        ledger = Ledger(path.client)
        _drive(path, 1, ledger, 1)
        path.client.config_set("slowlog-log-slower-than", LOGGED)
        path.client.config_set("slowlog-max-len", 10_000)
        slowest, calls = Slowest(path.client), {}

        def measure(name: str, count: int, act: Callable[[], object]) -> None:
            with slowest.stage(name):
                act()
            calls[name] = count

        jobs: list[str] = []
        measure("submit", JOBS, lambda: jobs.extend(_submit(ledger, JOBS, JOBS)))
        measure("claim, begin, accepted, polls, reports", DRIVEN, lambda: _finish(path, ledger, DRIVEN))
        measure(f"claim of {CLAIM}", 10, lambda: _claims(ledger, 10))
        # The last to be submitted wait the longest.
        last = jobs[-500:]
        measure("cancel", 500, lambda: _cancel(ledger, last))
        some = jobs[-1500:-1000]
        measure("position", 500, lambda: [ledger.store.ask(ledger.queue.position(job)) for job in some])
        measure("forecast", 500, lambda: [ledger.store.ask(ledger.queue.turn(job)) for job in some])
        measure("statuses of accounts", 100, lambda: [ledger.accounts.statuses() for _ in range(100)])
        measure("spending of 400 days", 10, lambda: [ledger.budget.spend(400) for _ in range(10)])
        measure("doubts", 10, lambda: [ledger.jobs.doubts() for _ in range(10)])
        measure("maintain", 100, lambda: [ledger.queue.maintain() for _ in range(100)])
    head = ("stage", "calls or jobs", "slowest, ms", "its command", f"above {SLOW / 1000:g} ms")
    yield from table(head, slowest.rows(calls))
    yield "\nThe only script that goes through everything corrects the times after a step of the clock:\n"
    yield from table(("jobs that are due later", "ms"), [_shift(SHIFTED // 10), _shift(SHIFTED)])


def _prefer(pid: int) -> None:
    """Let the server go before other processes, whose time would count as its own; root may do so."""
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, pid, -20)


def _claims(ledger: Ledger, count: int) -> None:
    for _ in range(count):
        assert len(ledger.queue.claim(roomy(), money=MONEY, batch=CLAIM).steps) >= CLAIM


def _cancel(ledger: Ledger, jobs: list[str]) -> None:
    for job_id in jobs:
        ledger.jobs.cancel(job_id, InDoubt("unsent"), InDoubt("sent"))


def _shift(jobs: int) -> list[object]:
    with EmbeddedValkey() as valkey:
        _prefer(valkey.pid)
        client = Path(valkey.url).client
        now = [time.time()]
        ledger = Ledger(client, clock=lambda: now[0])
        quota = Quota(20, 10.0, 10, 1.0, 100)
        ledger.queue.claim(quota)
        new = [replace(prepare(REQUEST, lane=f"tenant {at}"), starts_in=3600.0) for at in range(jobs)]
        for start in range(0, jobs, SUBMITTED_AT_ONCE):
            ledger.jobs.submit_many(new[start : start + SUBMITTED_AT_ONCE])
        client.config_set("slowlog-log-slower-than", LOGGED)
        client.slowlog_reset()
        now[0] -= 600.0
        assert ledger.queue.claim(quota).stepped < 0
        slowest = max((entry["duration"] for entry in client.slowlog_get(100)), default=0)
    return [f"{jobs:,}", slowest / 1000]
