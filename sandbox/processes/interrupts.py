"""Ctrl-C and SIGTERM as one exception, so that a program cleans up in both cases."""

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Final

__all__ = ["Interrupted", "interruptible"]

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_AGAIN: Final = 0.01
"""Seconds until a signal whose exception Python dropped is sent again."""


class Interrupted(BaseException):
    """The program was asked to end."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number
        self.exit_code = 128 + number
        """The exit code of a program that a signal has ended, by the convention of shells."""


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Raise :class:`Interrupted` in the body on each of the signals. Only for a program's main thread.

    After the exception has left the body, further signals are ignored, so that they do not interrupt the
    cleanup.
    """
    before = {number: signal.signal(number, _interrupt) for number in _SIGNALS}
    after: dict[signal.Signals, object] = dict(before)
    try:
        with _never_ignored():
            yield
    except Interrupted:
        after = dict.fromkeys(_SIGNALS, signal.SIG_IGN)
        raise
    finally:
        for number, handler in after.items():
            signal.signal(number, handler)  # type: ignore[arg-type]


def _interrupt(number: int, _frame: FrameType | None) -> None:
    raise Interrupted(number)


@contextlib.contextmanager
def _never_ignored() -> Iterator[None]:
    # Python drops an exception that is raised inside a finalizer or a weak reference's callback. A signal may
    # arrive there, so it is sent again from another thread; an exception in this hook would be dropped too.
    report = sys.unraisablehook

    def send_again(dropped: "sys.UnraisableHookArgs") -> None:
        if not isinstance(dropped.exc_value, Interrupted):
            report(dropped)
            return
        main, number = threading.main_thread().ident, dropped.exc_value.number
        assert main is not None  # noqa: S101 - it is the one that runs this
        threading.Timer(_AGAIN, signal.pthread_kill, (main, number)).start()

    sys.unraisablehook = send_again
    try:
        yield
    finally:
        sys.unraisablehook = report
