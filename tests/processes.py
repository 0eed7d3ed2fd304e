"""Finding processes that a program has left behind."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import psutil

__all__ = ["MARK", "running_for", "wait_until"]

MARK: Final = "TEST_FOLDER"
"""The variable that a test sets to its folder, and that its processes inherit."""


def running_for(folder: Path) -> list[psutil.Process]:
    """The processes that were started with the folder in MARK, or whose working directory is below it.

    The working directory identifies Valkey, which overwrites its environment with its title.
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
            continue  # the process has just ended, or belongs to another user


def wait_until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait until the condition is true. Raises :class:`TimeoutError` after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not true within {seconds} s")
        time.sleep(0.02)
