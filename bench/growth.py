"""The memory of the ledger against a formula, and the slowest commands with 100,000 lanes.

Jobs go through the scripts without workers. The first Valkey gets many jobs of 1,000 lanes, and its memory is
compared with :data:`BYTES` when all of them wait, when all of them have ended, and when what had a time to
live is gone. The second one gets a lane for each job, and each script is timed by the server's own CPU time.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

from bench.ledger_path import MONEY, REQUEST, Path, messages, roomy
from bench.report import quantile, table
from limner.accounts import MAIN
from limner.errors import InDoubt
from limner.ledger import Claim, Ledger, Quota
from limner.ledger.layout.keys import EVENTS, MONEY_LANES, WINDOW_ANSWER, WINDOW_CREATE, WINDOW_POLL
from limner.ledger.messages import to_ms
from limner.ledger.scripts.calls import AcceptedCall, BeginCall
from limner.ledger.scripts.encoding import of_caps, of_prices
from limner.submission import prepare
from sandbox.local.valkey import EmbeddedValkey
from worker.services import POLLS_IN_A_MESSAGE

JOBS: Final = int(os.environ.get("BENCH_GROWTH_JOBS", "100000"))
LANES: Final = 1000
SINGLE: Final = 500
"""The calls of each script that are measured."""
CLAIM: Final = 25
"""The steps of a claim, as a worker asks for them."""
SHIFTED: Final = 10_000
SUBMITTED_AT_ONCE: Final = 500
WEEK: Final = 7 * 86_400
WINDOWS: Final = (WINDOW_CREATE, WINDOW_ANSWER, WINDOW_POLL)
SLOW: Final = 5
"""Milliseconds that no script may take."""

BYTES: Final = {
    "waiting": 1300,
    "ended": 3900,
    "lane": 200,
    "lane of the day": 80,
    "event": 200,
    "permit": 110,
}
"""The formula: bytes of a waiting job, of an ended one with its result, of a lane with waiting jobs, of a
lane with spending of the day, of an event, and of a permit in a window. The request of a job has a line, and
there are no metadata."""


def run() -> Iterator[str]:
    """The tables."""
    yield from _growth()
    yield from _lanes()


# Growth


@dataclass(frozen=True)
class Sight:
    """What is in a ledger at a moment, and the memory that it takes."""

    moment: str
    measured: int
    waiting: int = 0
    ended: int = 0
    lanes: int = 0
    lanes_of_day: int = 0
    events: int = 0
    permits: int = 0

    @property
    def formula(self) -> int:
        """The bytes that the formula gives."""
        counts = (self.waiting, self.ended, self.lanes, self.lanes_of_day, self.events, self.permits)
        return sum(count * each for count, each in zip(counts, BYTES.values(), strict=True))

    def row(self) -> list[object]:
        """The row of the table."""
        ratio = self.measured / self.formula if self.formula else ""
        counts = (self.waiting, self.ended, self.lanes, self.events, self.permits)
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
    head = (
        "moment",
        "waiting",
        "ended",
        "lanes",
        "events",
        "permits",
        "measured, MB",
        "formula, MB",
        "ratio",
    )
    yield from table(head, [sight.row() for sight in sights])
    yield f"\nIt took {time.monotonic() - began:.0f} s.\n"


def _sight(path: Path, ledger: Ledger, empty: int, moment: str, **counts: int) -> Sight:
    today = int(time.time() // 86_400)
    return Sight(
        moment,
        _used(path) - empty,
        lanes_of_day=path.client.hlen(MONEY_LANES(ledger.prefix, today)),
        events=path.client.xlen(EVENTS(ledger.prefix)),
        # Nobody does the housekeeping, which would remove them.
        permits=sum(path.client.zcard(window(ledger.prefix, MAIN)) for window in WINDOWS),
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
class Meter:
    """The server's CPU time for each command of a stage, whose wall time is that of a quiet machine."""

    client: Any
    rows: list[list[object]] = field(default_factory=list)
    _took: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._execute = self.client.execute_command
        # What the measurement itself takes.
        self._own = min(self._between() for _ in range(50))
        self.client.execute_command = self._timed

    def _cpu(self) -> float:
        told = self._execute("INFO", "cpu")
        return float(told["used_cpu_user_main_thread"] + told["used_cpu_sys_main_thread"])

    def _between(self) -> float:
        before = self._cpu()
        return self._cpu() - before

    def _timed(self, *command: Any, **options: Any) -> Any:
        before = self._cpu()
        reply = self._execute(*command, **options)
        self._took.append(1000 * (self._cpu() - before - self._own))
        return reply

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure the commands of the block."""
        self._took.clear()
        yield
        took, slow = self._took, sum(each > SLOW for each in self._took)
        self.rows.append([name, f"{len(took):,}", quantile(took, 0.5), quantile(took, 0.99), max(took), slow])


def _lanes() -> Iterator[str]:
    yield f"{JOBS:,} jobs wait, each in a lane of its own. Milliseconds of Valkey's CPU for a command:\n"
    with EmbeddedValkey() as valkey:
        path = Path(valkey.url)
        ledger = Ledger(path.client)
        _drive(path, 1, ledger, 1)
        jobs = _submit(ledger, JOBS, JOBS)
        meter = Meter(path.client)
        with meter.stage("submit"):
            for number in range(SINGLE):
                ledger.jobs.submit(prepare(REQUEST, lane=f"another {number}"))
        with meter.stage(f"claim of {CLAIM} to send"):
            claims = [_claim(ledger) for _ in range(SINGLE // CLAIM)]
        steps = [step for claimed in claims for step in claimed]
        with meter.stage("begin"):
            sent = [path.begin(step) for step in steps]
        with meter.stage("accepted"):
            for one in sent:
                path.accepted(one)
        with meter.stage(f"claim of {CLAIM} to send and {CLAIM} to poll"):
            claims = [_claim(ledger) for _ in range(len(steps) // CLAIM)]
        polls = [step for claimed in claims for step in claimed if step.step == "poll"]
        with meter.stage(f"begin_polls, {POLLS_IN_A_MESSAGE} together"):
            for together in messages(polls):
                path.begin_polls(together)
        with meter.stage(f"report_polls, {POLLS_IN_A_MESSAGE} successes together"):
            for together in messages(polls):
                path.report(together, over=True)
        # The last to be submitted wait the longest.
        with meter.stage("cancel"):
            for job in jobs[-SINGLE:]:
                ledger.jobs.cancel(job, InDoubt("unsent"), InDoubt("sent"))
        with meter.stage("maintain"):
            for _ in range(SINGLE):
                ledger.queue.maintain()
    yield from table(("script", "calls", "p50", "p99", "most", f"above {SLOW} ms"), meter.rows)
    yield "\nThe only script that goes through everything corrects the times after a step of the clock:\n"
    yield from table(("jobs that are due later", "ms"), [_shift(SHIFTED // 10), _shift(SHIFTED)])


def _claim(ledger: Ledger) -> list[Claim]:
    return ledger.queue.claim(roomy(), money=MONEY, batch=CLAIM).steps


def _shift(jobs: int) -> list[object]:
    with EmbeddedValkey() as valkey:
        client = Path(valkey.url).client
        now = [time.time()]
        ledger = Ledger(client, clock=lambda: now[0])
        quota = Quota(20, 10.0, 10, 1.0, 100)
        ledger.queue.claim(quota)
        new = [replace(prepare(REQUEST, lane=f"tenant {at}"), starts_in=3600.0) for at in range(jobs)]
        for start in range(0, jobs, SUBMITTED_AT_ONCE):
            ledger.jobs.submit_many(new[start : start + SUBMITTED_AT_ONCE])
        meter = Meter(client)
        now[0] -= 600.0
        with meter.stage("shift_clock"):
            assert ledger.queue.claim(quota).stepped < 0
    return [f"{jobs:,}", meter.rows[0][4]]
