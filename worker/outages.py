"""The outages of a process's Redis, told once: when one begins, once a minute, and when it ends.

Whatever notices an outage reports it here (the dispatcher, steps, the broker's connection, results), and the
lines of Celery and kombu about it are counted and left out.
"""

import errno
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import redis
from amqp.exceptions import AMQPError
from kombu.exceptions import OperationalError

from limner.errors import NotDurable, StoreUnavailable

logger = logging.getLogger(__name__)

MINUTE: Final = 60.0
"""Seconds between two lines while an outage lasts."""
SETTLED: Final = 2.0
"""Seconds without a fault after which a component serves again. A Redis that flaps is one outage."""
FORGOTTEN: Final = 40.0
"""Seconds after which a fault of a component counts as over that does not say so itself. Celery tries to
connect to the broker every 32 s at least."""
LOOK: Final = 0.5
"""Seconds between two looks whether there is something to tell."""
_LONGEST: Final = 300
"""Characters of an error in a line."""

_LIBRARIES: Final = ("celery", "kombu", "redis", "amqp")
_TRACE: Final = "celery.app.trace"
"""The logger of a task's own errors, which may come from any code."""
_BROKER_LOST: Final = ("Connection to broker lost", "Cannot connect to ", "Connection to Redis lost")
_ENDS: Final = "Unrecoverable error"
"""Celery's last line of a worker that ends."""
_ON_LOSS: Final = "on connection loss cancels all currently executed tasks"
"""Celery's advice with each lost connection, about an option that this fleet sets."""
_NETWORK: Final = frozenset(
    {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN, errno.EHOSTDOWN, errno.EBADF, errno.ENOTCONN}
)


def is_outage(error: BaseException | None) -> bool:
    """True if the error, or what it came from, says that a server of the fleet cannot serve."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, NotDurable | redis.DataError):
            return False
        if isinstance(error, StoreUnavailable | redis.RedisError | OperationalError | AMQPError):
            return True
        if isinstance(error, ConnectionError | TimeoutError):
            return True
        if isinstance(error, OSError) and error.errno in _NETWORK:
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False


class Outage:
    """The outage of a process. Any thread may report to it; a thread of its own tells what lasts and ends.

    A component is away from its first fault on, until it says that it serves again and has met no fault for
    ``SETTLED`` seconds.
    """

    def __init__(
        self,
        *,
        minute: float | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        watched: bool = True,
    ) -> None:
        self._minute = minute
        self._monotonic = monotonic
        self._watched = watched
        """False if somebody else calls :meth:`look`."""
        self._lock = threading.Lock()
        self._began: float | None = None
        self._told = 0.0
        self._faults: dict[str, float] = {}
        self._serving: dict[str, float] = {}
        self._errors: dict[str, str] = {}
        self._unrecorded = 0
        self._left_out = 0

    def failed(self, component: str, error: object, *, left_out: bool = False) -> None:
        """Report a fault of a component. ``left_out`` counts a line that is left out for it."""
        now = self._monotonic()
        with self._lock:
            self._faults[component] = now
            self._serving.pop(component, None)
            said_of_it = self._errors[component] = str(error)[:_LONGEST] or type(error).__name__
            self._left_out += left_out
            begins = self._began is None
            if begins:
                self._began = self._told = now
            said = self._said()
        if begins:
            logger.error("an outage begins (%s): %s; steps wait%s", component, said_of_it, said)
            if self._watched:
                threading.Thread(target=self._watch, name="limner-outage", daemon=True).start()

    def serves(self, component: str) -> None:
        """Report that a component serves. It costs nothing while there is no outage."""
        if self._began is None:
            return
        with self._lock:
            if component in self._faults:
                self._serving.setdefault(component, self._monotonic())

    @property
    def lasts(self) -> bool:
        """True during an outage, in which what only helps is not asked for."""
        return self._began is not None

    @contextmanager
    def unrecorded(self) -> Iterator[None]:
        """Count an answer of the provider that is not on record yet."""
        with self._lock:
            self._unrecorded += 1
        try:
            yield
        finally:
            with self._lock:
                self._unrecorded -= 1

    def look(self) -> bool:
        """Tell what there is to tell; returns True while the outage lasts."""
        now = self._monotonic()
        with self._lock:
            if self._began is None:
                return False
            for component, last in list(self._faults.items()):
                serving = self._serving.get(component)
                if (serving is not None and now >= serving + SETTLED) or now >= last + FORGOTTEN:
                    del self._faults[component]
                    self._serving.pop(component, None)
            lasted, away, said = now - self._began, sorted(self._faults), self._said()
            error = self._errors[max(self._faults, key=self._faults.__getitem__)] if away else ""
            left_out = self._left_out
            minute = MINUTE if self._minute is None else self._minute
            due = bool(away) and now >= self._told + minute
            if due:
                self._told = now
            if not away:
                self._began, self._left_out = None, 0
        if due:
            logger.error(
                "the outage lasts for %.0f s (%s): %s; steps wait%s", lasted, ", ".join(away), error, said
            )
        if not away:
            logger.error("the outage is over after %.0f s%s; %d lines left out", lasted, said, left_out)
        return bool(away)

    def _said(self) -> str:
        return f", {self._unrecorded} answers not on record" if self._unrecorded else ""

    def _watch(self) -> None:
        while self.look():
            time.sleep(LOOK)


outage: Final = Outage()
"""The outage of this process."""


class Fold(logging.Filter):
    """Leaves out what the libraries say about an outage, and reports it. Nothing else is left out."""

    def __init__(self, to: Outage) -> None:
        super().__init__()
        self._to = to

    def filter(self, record: logging.LogRecord) -> bool:
        """False for a line about an outage. Several handlers may ask about the same record."""
        folded: bool | None = getattr(record, "limner_folded", None)
        if folded is None:
            error = folded_error(record)
            folded = record.limner_folded = error is not None
            if folded:
                self._to.failed("broker", error, left_out=True)
        return not folded


def folded_error(record: logging.LogRecord) -> object | None:
    """The error in a library's line about an outage; None for any other line."""
    library = record.name.partition(".")[0]
    if record.name == "py.warnings" and _ON_LOSS in record.getMessage():
        return "Celery has lost its connection to the broker"
    if record.levelno < logging.WARNING or library not in _LIBRARIES:
        return None
    if _ENDS in str(record.msg):
        return None
    found = [record.exc_info[1]] if record.exc_info else []
    arguments = record.args if isinstance(record.args, tuple) else ()
    found += [each for each in arguments if isinstance(each, BaseException)]
    about = next((error for error in found if is_outage(error)), None)
    if record.name == _TRACE:
        return about if isinstance(about, redis.RedisError | StoreUnavailable) else None
    if about is None and isinstance(record.msg, str) and any(each in record.msg for each in _BROKER_LOST):
        return record.getMessage().partition("\n")[0]
    return about
