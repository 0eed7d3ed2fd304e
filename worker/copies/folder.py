"""The storage in a folder of this machine.

A file is written in ``.limner/staged``, and moved to its name when it is on the disk. So neither a killed
worker nor a power cut leaves a part of an image under its name. obstore's own store for folders does not wait
for the disk, and leaves the staged files of killed processes beside the images.
"""

import contextlib
import errno
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import quote

from worker.copies.faults import StorageError
from worker.copies.locations import PROBE, checked, joined, probe_name

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_OF_A_NAME: Final = frozenset({errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP})
"""The errors of a name whose place something else has."""
_ABANDONED_SECONDS: Final = 86_400
"""The age of a staged file that no living worker writes."""
_PIECE: Final = 256 * 1024


class Folder:
    """A storage in a folder. What it writes is listed in ``.limner/written``, one file for each day (UTC)."""

    def __init__(
        self, root: str, *, base: str = "", now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        """Take the absolute path of the folder, which need not exist, and the base of its files' URLs."""
        self._root = Path(root)
        self._base = base or f"file://{quote(root)}"
        self._now = now

    def put(self, name: str, file: BinaryIO, *, content_type: str, size: int, sha256: str) -> None:  # noqa: ARG002 - a file has no type
        """Store a file; it is on the disk when this returns."""
        target = self._path(name)
        with self._faults():
            # A line without a file is harmless, and a file without a line would never be pruned.
            self._list(f"{sha256} {size} {name}\n")
            self._write(target, file, size)

    def size(self, name: str) -> int | None:
        """Return the bytes of a file, or None if there is none."""
        path = self._path(name)
        with self._faults():
            try:
                return path.stat().st_size
            except (FileNotFoundError, NotADirectoryError):
                return None

    def delete(self, name: str) -> None:
        """Delete a file, which may be gone already."""
        path = self._path(name)
        with self._faults():
            path.unlink(missing_ok=True)

    def url(self, name: str) -> str:
        """Return the URL of a file."""
        return joined(self._base, name)

    def check(self) -> None:
        """Write, read and delete one small file, and delete the staged files of killed workers."""
        path = self._root / probe_name()
        with self._faults():
            with self._staged() as staged:
                staged.write_bytes(PROBE)
                staged.replace(path)
            if path.read_bytes() != PROBE:
                raise StorageError(f"LIMNER_COPY_TO: {self._root} does not keep what is written")
            path.unlink()
            self._delete_abandoned()

    def _path(self, name: str) -> Path:
        return self._root / checked(name)

    def _list(self, line: str) -> None:
        lists = self._root / ".limner" / "written"
        lists.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(lists / f"{self._now():%Y-%m-%d}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            # One call, so that lines of several workers never mix.
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)

    def _write(self, target: Path, file: BinaryIO, size: int) -> None:
        with self._staged() as staged:
            file.seek(0)
            with staged.open("xb") as output:
                shutil.copyfileobj(file, output, _PIECE)
                output.flush()
                os.fsync(output.fileno())
                if output.tell() != size:
                    raise ValueError(f"the file has {output.tell()} bytes, not {size}")
            target.parent.mkdir(parents=True, exist_ok=True)
            staged.replace(target)
            _sync(target.parent)

    @contextlib.contextmanager
    def _staged(self) -> Iterator[Path]:
        folder = self._root / ".limner" / "staged"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / secrets.token_hex(8)
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def _delete_abandoned(self) -> None:
        for path in (self._root / ".limner" / "staged").iterdir():
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _ABANDONED_SECONDS:
                    path.unlink()

    @contextlib.contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in _FULL:
                raise StorageError(f"LIMNER_COPY_TO: the disk of {self._root} is full") from None
            place = error.filename2 or error.filename or self._root
            raise StorageError(
                f"LIMNER_COPY_TO: {place} cannot be written or read ({error.strerror})",
                of_name=error.errno in _OF_A_NAME,
            ) from None


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
