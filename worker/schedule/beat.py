"""Celery beat for the schedule: submits a job at each tick of each entry.

It writes to the ledger and sends no message; a worker's dispatcher does that. The key of a job is made of its
entry and tick, so any number of beats may run: the first one buys, the others find the job there.
"""

import logging
import math
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import celery.beat

from config import Settings
from limner._redis import connect
from limner.errors import RecordUnreadable
from limner.ledger import Ledger
from worker.health.beat import LOOK, beat_file
from worker.health.heartbeat import beat
from worker.outages import is_outage, outage
from worker.schedule.file import Entry, ScheduleError, read_schedule
from worker.schedule.ticks import Tick, due, iso, resume

if TYPE_CHECKING:
    from worker.application import Application

logger = logging.getLogger(__name__)

OUTAGE_PAUSE: Final = 2.0
"""Seconds until a tick that Redis did not take is tried again."""


class Timekeeper:
    """Submits the jobs of the entries that have become due since it was ``started``.

    All times are in whole seconds since the epoch. ``idempotency_seconds`` is the shortest time after
    a job's end in which its tick still leads to it.
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        ledger: Ledger,
        *,
        started: Tick,
        idempotency_seconds: float,
    ) -> None:
        self._entries = entries
        self._ledger = ledger
        self._started = started
        self._idempotency_seconds = idempotency_seconds
        self._after: dict[str, Tick] = {}

    def run(self, now: Tick) -> float:
        """Submit once; returns the time of the next tick, infinity if there is none.

        Raises :class:`~limner.errors.StoreUnavailable`; due ticks then remain due.
        """
        if not self._after:
            self._after = self._begin()
        for entry in self._entries:
            self._run_entry(entry, now)
        return min((entry.rhythm.next(now) for entry in self._entries), default=math.inf)

    def _begin(self) -> dict[str, Tick]:
        last = self._ledger.ticks.take_up((entry.mark for entry in self._entries), self._started)
        begin = {}
        for entry in self._entries:
            after = resume(entry.rhythm, last[entry.mark], self._started, catch_up=entry.catch_up)
            first, upcoming = entry.rhythm.next(last[entry.mark]), entry.rhythm.next(after)
            if first <= self._started and upcoming != first:
                _tell_left_out(entry, "was away", first, upcoming if upcoming <= self._started else None)
            begin[entry.name] = after
        return begin

    def _run_entry(self, entry: Entry, now: Tick) -> None:
        # A clock that was ahead and has been set right must not silence the entry until that time comes.
        after = self._after[entry.name] = min(self._after[entry.name], now)
        first = entry.rhythm.next(after)
        if first > now:
            return
        ticks = due(entry.rhythm, after, now, catch_up=entry.catch_up)
        for tick in ticks:
            self._submit(entry, tick)
            self._ledger.ticks.record(entry.mark, tick)
            self._after[entry.name] = tick
        if not ticks:
            self._after[entry.name] = now
        if ticks[:1] != [first]:
            _tell_left_out(entry, "was held up too long", first, ticks[0] if ticks else None)

    def _submit(self, entry: Entry, tick: Tick) -> None:
        new = entry.submission(tick, idempotency_seconds=self._idempotency_seconds)
        answer = self._ledger.jobs.submit(new)
        if answer.outcome == "conflict":
            logger.warning(
                "schedule %s: its tick of %s belongs to job %s, which another beat submitted with another "
                "request; that job stays",
                entry.name,
                iso(tick),
                answer.job_id,
            )
        elif answer.outcome == "no_account":
            # Only the workers know the accounts, so the file could not be checked for them.
            logger.error(
                "schedule %s: account: there is no %r, so the tick of %s is left out; the fleet has %s",
                entry.name,
                entry.options.account,
                iso(tick),
                answer.job_id,
            )
        else:
            logger.info(
                "schedule %s: the tick of %s is job %s (%s)",
                entry.name,
                iso(tick),
                answer.job_id,
                answer.outcome,
            )


def _tell_left_out(entry: Entry, why: str, first: Tick, until: Tick | None) -> None:
    logger.warning(
        "schedule %s: beat %s; its ticks are left out from %s until %s (catch_up)",
        entry.name,
        why,
        iso(first),
        "now" if until is None else iso(until),
    )


class Scheduler(celery.beat.Scheduler):
    """The scheduler of ``celery -A worker beat``. It keeps no state in a file, and needs no broker."""

    def __init__(self, app: "Application", *args: Any, **kwargs: Any) -> None:
        self._settings = app.settings
        self._away = False
        self._beat_file = beat_file(app.settings.heartbeat_file)
        self._told = False
        try:
            self._entries = read_schedule(app.settings.schedule_file)
        except ScheduleError as error:
            # Read by the person who starts the process; a traceback would hide the entry's name.
            sys.exit(f"limner: the schedule is wrong, so nothing is submitted\n{error}")
        super().__init__(app, *args, **kwargs)

    def setup_schedule(self) -> None:
        """Begin with the entries of the file. Celery's own schedule is not used."""
        self._timekeeper = make_timekeeper(self._settings, self._entries, time.time())

    def tick(self, *_: Any, **__: Any) -> float:
        """Submit what is due; returns the seconds until there is more to do."""
        try:
            upcoming = self._timekeeper.run(int(time.time()))
        except RecordUnreadable as error:
            if not self._away:
                logger.error("the schedule stands still: %s", error)  # noqa: TRY400 - no traceback is needed
            self._away = True
            return OUTAGE_PAUSE
        except Exception as error:
            # Raised here, it would end beat.
            if is_outage(error):
                outage.failed("schedule", error)
            else:
                logger.exception("the schedule stumbled and goes on")
            return OUTAGE_PAUSE
        outage.serves("schedule")
        if self._away:
            logger.warning("the schedule goes on")
        self._away = False
        self._touch()
        return min(max(upcoming - time.time(), 0.0), self.max_interval or math.inf, LOOK)

    def _touch(self) -> None:
        try:
            beat(self._beat_file)
        except OSError as error:
            # The jobs matter more than the health check, which will say that the file is missing.
            if not self._told:
                logger.warning("LIMNER_HEARTBEAT_FILE: %s cannot be touched: %s", self._beat_file, error)
            self._told = True

    @property
    def info(self) -> str:
        """The line about the schedule that beat shows at its start."""
        return f"    . schedule -> {self._settings.schedule_file} ({len(self._entries)} enabled)"


def make_timekeeper(settings: Settings, entries: Sequence[Entry], started: float) -> Timekeeper:
    """The timekeeper with these settings."""
    ledger = Ledger(
        connect(settings.redis_url, timeout=settings.redis_timeout_seconds), prefix=settings.prefix
    )
    return Timekeeper(
        entries,
        ledger,
        started=int(started),
        idempotency_seconds=settings.idempotency_seconds,
    )
