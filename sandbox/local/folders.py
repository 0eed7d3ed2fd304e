"""The folders of servers: one server for each, and none left behind by an owner that was killed."""

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from sandbox.local.valkey_program import ValkeyError

__all__ = ["locked", "temporary_folder"]


def temporary_folder() -> Path:
    """A new folder for one server. Folders of owners that have ended are removed."""
    # A killed owner could not remove its folder. The name has its pid, so the next owner can remove it.
    for folder in Path(tempfile.gettempdir()).glob("limner-valkey-*-*"):
        with contextlib.suppress(OSError, ValueError):  # not ours, or just removed by another process
            if not _alive(int(folder.name.split("-")[2])) and not _in_use(folder):
                shutil.rmtree(folder, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"limner-valkey-{os.getpid()}-"))


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _in_use(folder: Path) -> bool:
    # Containers that share a temporary folder do not see each other's pids, but they do see the locks.
    with (folder / "server.lock").open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[int]:
    """The folder's lock, as a file that the server is to inherit.

    Raises :class:`ValkeyError` if another server has it.
    """
    # Only the server inherits and keeps the lock, so it lasts exactly as long as the server. Two servers
    # never append to the same file.
    lock = os.open(folder / "server.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        deadline = time.monotonic() + 5  # a killed server's rewrite child may hold it a moment longer
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise ValkeyError(f"{folder} is in use by another server.") from None
                time.sleep(0.02)
        yield lock
    finally:
        os.close(lock)
