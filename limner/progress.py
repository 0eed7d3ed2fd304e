"""The progress of transfers: counted over all of them, and shown as a bar where somebody watches."""

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Final

Progress = Callable[[int, int | None], None]
"""Takes the bytes that have come so far, of all transfers, and those to come in all; None while unknown."""

_ONE_BAR: Final = threading.Lock()
"""Two bars at once would overwrite each other."""


class Tally:
    """Counts the bytes of several transfers, and reports the sum. Thread-safe."""

    def __init__(self, transfers: int, report: Progress) -> None:
        self._report = report
        self._lock = threading.Lock()
        self._done = [0] * transfers
        self._lengths: list[int | None] = [None] * transfers

    def begin(self, transfer: int, length: int | None) -> None:
        """A transfer begins, or begins anew from another source."""
        with self._lock:
            self._done[transfer], self._lengths[transfer] = 0, length
            self._tell()

    def add(self, transfer: int, count: int) -> None:
        """So many more bytes of a transfer have come."""
        with self._lock:
            self._done[transfer] += count
            self._tell()

    def _tell(self) -> None:
        known = [length for length in self._lengths if length is not None]
        self._report(sum(self._done), sum(known) if len(known) == len(self._lengths) else None)


@contextlib.contextmanager
def bar(what: str) -> Iterator[Progress | None]:
    """A bar on standard error, which goes when this ends; yields its Progress.

    Yields None if nobody watches: standard error is no terminal, or one that cannot draw; rich is not
    installed; or another bar is shown already.
    """
    if not sys.stderr.isatty():
        yield None
        return
    try:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, TextColumn, TransferSpeedColumn
        from rich.progress import Progress as Bars
    except ModuleNotFoundError:
        yield None
        return
    console = Console(stderr=True)
    if not console.is_interactive or not _ONE_BAR.acquire(blocking=False):
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    try:
        with Bars(*columns, console=console, transient=True) as bars:
            shown = bars.add_task(what, total=None)
            yield lambda done, total: bars.update(shown, completed=done, total=total)
    finally:
        _ONE_BAR.release()
