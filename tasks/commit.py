"""Recording outside events, with patience while Redis cannot serve."""

import logging
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Final, Generic, TypeVar

import redis
from celery.worker import state

from limner.errors import LimnerError, NotDurable, RecordUnreadable, StoreUnavailable
from worker.outages import outage
from worker.rescue import Outcome, Rescue

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

PATIENCE = 120.0
"""The patience in seconds for an answer that nobody else can obtain again."""
SHORT_PATIENCE = 10.0
"""The patience in seconds for a step that a lease repeats. Waiting for a restart of Redis is quicker."""
PAUSE = 0.25
KEEP_AFTER: Final = 1.0
"""Seconds until the outcome of a request is kept in a file as well: the worker may not outlive the outage."""
SURE: Final = 4
"""So many times in a row, a record must be unreadable. A single reply may be broken instead of the record."""


def patiently(
    transition: Callable[[], Result],
    what: str,
    *,
    patience: float | None = None,
    component: str = "ledger",
    sleep: Callable[[float], None] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> Result:
    """Repeat a transition while Redis cannot serve, for up to ``patience`` seconds (PATIENCE).

    ``component`` is what the outage is told of. Once the patience is used up, ``what`` names the lost
    transition in the log, and StoreUnavailable is raised.
    """
    trial = _Trial(transition, component, monotonic() + (PATIENCE if patience is None else patience))
    while not trial.over(monotonic()):
        sleep(PAUSE)
    if trial.error is None:
        return trial.result
    logger.warning("not on record, because Redis could not serve for too long: %s", what)
    raise _as_unavailable(trial.error)


def is_stopping() -> bool:
    """True if this worker was told to end. Whoever told it kills it after some time."""
    # Celery keeps the exit code there, which is 0 for an end in order.
    return any(each is not None and each is not False for each in (state.should_stop, state.should_terminate))


def put_outcome(
    transition: Callable[[], Result],
    outcome: Outcome,
    rescue: Rescue,
    *,
    stopping: Callable[[], bool] = is_stopping,
    sleep: Callable[[float], None] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> Result:
    """Put the outcome of a request on record, with PATIENCE.

    Until it is there, only this thread has it. So no error ends the patience but that of a record that cannot
    be read. The outcome is kept in a file meanwhile, if there is a folder for it. Once the patience is used
    up, a line tells a person what to do, and StoreUnavailable is raised. A worker that is stopping tells it
    at once, since it may be killed before.
    """
    began = monotonic()
    trial = _Trial(transition, "ledger", began + PATIENCE, paid=True)
    kept: Path | None = None
    tried_to_keep = told = False
    try:
        with outage.unrecorded() if outcome.may_be_paid else nullcontext():
            while not trial.over(monotonic()):
                if not tried_to_keep and monotonic() >= began + KEEP_AFTER:
                    kept, tried_to_keep = rescue.keep(outcome), True
                if tried_to_keep and not told and stopping():
                    _tell(outcome, trial.error, kept)
                    told = True
                sleep(PAUSE)
    finally:
        # Whatever is raised, nobody tries any more, and the file is for all.
        rescue.give_up(outcome)
    if trial.error is None:
        if kept:
            rescue.forget(outcome)
        if told:
            logger.warning("%s is on record after all", outcome)
        return trial.result
    kept = kept or rescue.keep(outcome)
    rescue.give_up(outcome)
    if not told:
        _tell(outcome, trial.error, kept)
    if isinstance(trial.error, RecordUnreadable):
        raise trial.error
    raise _as_unavailable(trial.error)


def _tell(outcome: Outcome, error: Exception | None, kept: Path | None) -> None:
    if kept:
        hint = f"{kept} keeps it, and a worker brings it home; otherwise {outcome.advice}"
    else:
        hint = f"once Redis serves again, {outcome.advice}"
    level = logging.CRITICAL if outcome.may_be_paid else logging.ERROR
    logger.log(level, "%s is not on record: %s; %s", outcome, error, hint)


class _Trial(Generic[Result]):
    """The trials of one transition."""

    def __init__(
        self, transition: Callable[[], Result], component: str, deadline: float, *, paid: bool = False
    ) -> None:
        self._transition = transition
        self._component = component
        self._deadline = deadline
        self._paid = paid
        self._unreadable = 0
        self.result: Result
        self.error: Exception | None = None

    def over(self, now: float) -> bool:
        """Try once; True if it was the last time. Raises what no repetition helps with."""
        try:
            self.result = self._transition()
        except NotDurable:
            raise
        except RecordUnreadable as error:
            self._unreadable += 1
            if not self._paid:
                raise
            self.error = error
            return self._unreadable >= SURE
        except (StoreUnavailable, redis.RedisError, OSError) as error:
            self._failed(error)
        except Exception as error:
            # An answer of a broken server may make any code stumble.
            if not self._paid or isinstance(error, LimnerError):
                raise
            self._failed(error)
        else:
            self.error = None
            outage.serves(self._component)
            return True
        self._unreadable = 0
        return now >= self._deadline

    def _failed(self, error: Exception) -> None:
        self.error = error
        outage.failed(self._component, error)


def _as_unavailable(error: Exception) -> StoreUnavailable:
    if isinstance(error, StoreUnavailable):
        return error
    unavailable = StoreUnavailable(f"Redis could not serve: {error}")
    unavailable.__cause__ = error
    return unavailable
