"""Ctrl-C and SIGTERM as one exception, so that a program stops what it started in both cases."""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType
from typing import Final

__all__ = ["Interrupted", "interruptible"]

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """The program was asked to end."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
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
        yield
    except Interrupted:
        after = dict.fromkeys(_SIGNALS, signal.SIG_IGN)
        raise
    finally:
        for number, handler in after.items():
            signal.signal(number, handler)  # type: ignore[arg-type]


def _interrupt(number: int, _frame: FrameType | None) -> None:
    raise Interrupted(number)
