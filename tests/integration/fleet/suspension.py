"""A module for a worker's --include, which stops the worker once, as a suspension does.

SUSPEND_AT names the point at which the process stops itself with SIGSTOP; whoever started it continues it.
SUSPEND_PASS is the number of the pass that stops it, beginning with 1. With SUSPEND_MACHINE, the monotonic
clock stands still meanwhile, as it does while a virtual machine is suspended. With SUSPEND_STEP, the process
does not stop: its wall clock is set forward by so many seconds.
Processes without SUSPEND_AT are not affected.
"""

import functools
import os
import signal
import threading
import time
from collections.abc import Callable
from enum import StrEnum
from itertools import count
from typing import Any, Final

import httpcore
from httpcore._backends.sync import SyncStream

from limner.ledger.jobs import Jobs
from provider import KieClient
from tasks.leave import Leave
from tasks.stopwatch import Stopwatch

AT: Final = "SUSPEND_AT"
PASS: Final = "SUSPEND_PASS"
MACHINE: Final = "SUSPEND_MACHINE"
STEP: Final = "SUSPEND_STEP"


class Point(StrEnum):
    """A point between the claim of a step and the record of its outcome."""

    BEFORE_BEGIN = "before the begin is sent"
    AFTER_BEGIN = "after the reply to the begin"
    CONNECTING = "while the connection is made"
    BEFORE_LEAVE = "before the leave is asked for"
    AFTER_LEAVE = "between the leave and the write"
    AFTER_WRITE = "between the write and the answer"
    AFTER_ANSWER = "between the answer and its record"
    AFTER_BEGIN_POLLS = "after the reply to the begin of polls"


class Suspension:
    """Stops this process at one pass of one point."""

    def __init__(self, at: Point, number: int, machine: bool, step: float) -> None:
        self._at, self._number, self._machine, self._step = at, number, machine, step
        self._passes = count(1)
        self._sending = threading.local()
        # Held from a request's leave to its write.
        self._going_out = threading.RLock()
        self._monotonic, self._wall = time.monotonic, time.time
        self._behind = self._ahead = 0.0

    def passes(self, point: Point) -> None:
        """Stop, if this is the pass of the point at which to stop."""
        if point is not self._at or next(self._passes) != self._number:
            return
        if self._step:
            self._ahead = self._step
            return
        # Another thread that stops between its leave and its write would send too late: that is AFTER_LEAVE.
        with self._going_out:
            began = self._monotonic()
            # A signal to the process could be taken by another thread, and this one would run on for a while.
            signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
            if self._machine:
                self._behind = self._monotonic() - began

    def install(self) -> None:
        """Add the points to the calls of this process, and replace its clocks."""
        time.monotonic = lambda: self._monotonic() - self._behind
        time.time = lambda: self._wall() + self._ahead
        # Defaults keep the clocks of the time at which they were defined.
        Stopwatch.__init__.__defaults__ = (lambda: time.monotonic(), lambda: time.time())
        self._wrap(Jobs, "begin", before=Point.BEFORE_BEGIN, after=Point.AFTER_BEGIN)
        self._wrap(Jobs, "begin_polls", after=Point.AFTER_BEGIN_POLLS)
        self._wrap(Leave, "__call__", before=Point.BEFORE_LEAVE, when=self._is_sending)
        self._wrap(KieClient, "create_task", after=Point.AFTER_ANSWER)
        self._mark_requests()
        self._hold_from_leave_to_write()
        self._wrap(httpcore.SyncBackend, "connect_tcp", after=Point.CONNECTING, when=self._is_sending)
        # The stream of the socket itself, below everything that Limner checks.
        self._wrap(
            SyncStream,
            "write",
            before=Point.AFTER_LEAVE,
            after=Point.AFTER_WRITE,
            when=self._is_sending,
        )

    def _is_sending(self, _: Any) -> bool:
        return getattr(self._sending, "now", False)

    def _mark_requests(self) -> None:
        create_task = KieClient.create_task

        @functools.wraps(create_task)
        def wrapped(*arguments: Any, **options: Any) -> Any:
            self._sending.now = True
            try:
                return create_task(*arguments, **options)
            finally:
                self._sending.now = False
                self._went_out()

        KieClient.create_task = wrapped  # type: ignore[method-assign]

    def _hold_from_leave_to_write(self) -> None:
        leave, write = Leave.__call__, SyncStream.write

        def held_leave(*arguments: Any) -> bool:
            if self._is_sending(arguments) and not getattr(self._sending, "holds", False):
                self._sending.holds = self._going_out.acquire()
            return leave(*arguments)

        def held_write(*arguments: Any, **options: Any) -> None:
            write(*arguments, **options)
            self._went_out()

        Leave.__call__ = held_leave  # type: ignore[assignment,method-assign]
        SyncStream.write = held_write  # type: ignore[method-assign]

    def _went_out(self) -> None:
        if getattr(self._sending, "holds", False):
            self._sending.holds = False
            self._going_out.release()

    def _wrap(
        self,
        owner: type,
        name: str,
        *,
        before: Point | None = None,
        after: Point | None = None,
        when: Callable[[Any], bool] = lambda _: True,
    ) -> None:
        call = getattr(owner, name)

        @functools.wraps(call)
        def wrapped(*arguments: Any, **options: Any) -> Any:
            if before and when(arguments):
                self.passes(before)
            result = call(*arguments, **options)
            if after and result not in (False, "stale", "late", []) and when(arguments):
                self.passes(after)
            return result

        setattr(owner, name, wrapped)


if AT in os.environ:
    Suspension(
        Point(os.environ[AT]),
        int(os.environ.get(PASS, "1")),
        MACHINE in os.environ,
        float(os.environ.get(STEP, "0")),
    ).install()
