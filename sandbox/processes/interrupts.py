"""Ctrl-C and SIGTERM as one exception, so that a program stops what it started in both cases."""

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
"""Seconds until a signal that Python could not raise is sent again."""


class Interrupted(BaseException):
    """The program was asked to end."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number
        self.exit_code = 128 + number
        """What a shell expects of a program that a signal has ended."""


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """For the main thread of a program: each of the signals raises :class:`Interrupted` in the body.

    Once one has left the body, further ones are ignored, so that nothing disturbs what is cleaned up last.
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
    # arrive just there, so it is sent once more, from another thread: here it would be dropped again.
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
