"""Finding the processes that a program has left behind."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import psutil

__all__ = ["MARK", "running_for", "wait_until"]

MARK: Final = "TEST_FOLDER"
"""A variable that a test sets to its folder, and that processes inherit."""


def running_for(folder: Path) -> list[psutil.Process]:
    """Those that were started with that folder in MARK, or work below it.

    The second finds Valkey, which writes its title over its environment.
    """
    return list(_running_for(str(folder)))


def _running_for(folder: str) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                continue
            if process.environ().get(MARK) == folder or process.cwd().startswith(folder):
                yield process
        except psutil.Error:
            continue  # it has ended meanwhile, or belongs to somebody else


def wait_until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    """Raises :class:`TimeoutError` if the condition does not come true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not true within {seconds} s")
        time.sleep(0.02)
