"""The deletion of old copies in a folder: those that a worker has listed, and that nobody has changed since.

A worker appends ``SHA256 SIZE NAME`` to ``.limner/written/YYYY-MM-DD`` in the folder before it stores a file
(``worker/copies/folder.py``).
"""

import contextlib
import hashlib
import re
import stat
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

_LINE: Final = re.compile(r".*([0-9a-f]{64}) (\d{1,15}) ([A-Za-z0-9._=/-]{1,1000})\n?")
"""A worker that was killed, or a full disk, can leave a part of a line before it."""


@dataclass(slots=True)
class Pruned:
    """The counts of one pruning."""

    files: int = 0
    """Files that were deleted."""
    size: int = 0
    """Their bytes."""
    changed: int = 0
    """Listed files that were left alone, because they are not what a worker wrote."""
    failed: int = 0
    """Listed files that could not be read or deleted. The next pruning tries them again."""


def prune(root: Path, days: int, today: date) -> Pruned:
    """Delete the listed files in a folder that were written more than ``days`` days before ``today`` (UTC).

    Folders that become empty go as well. Raises ValueError for days below 0, and OSError for lists that
    cannot be read.
    """
    if days < 0:
        raise ValueError("days: must not be less than 0")
    pruned = Pruned()
    oldest = today - timedelta(days=days)
    lists = root / ".limner" / "written"
    for path in sorted(lists.iterdir()) if lists.is_dir() else []:
        try:
            day = date.fromisoformat(path.name)
        except ValueError:
            continue
        if day < oldest and _prune_list(root.resolve(), path, oldest, pruned):
            path.unlink(missing_ok=True)
    return pruned


def _prune_list(root: Path, path: Path, oldest: date, pruned: Pruned) -> bool:
    """Return True if the list has no file for a later pruning."""
    done = True
    with path.open("r", encoding="ascii", errors="replace") as lines:
        for line in lines:
            if found := _LINE.fullmatch(line):
                try:
                    done &= _prune_file(root, found[3], int(found[2]), found[1], oldest, pruned)
                except OSError:
                    pruned.failed += 1
                    done = False
    return done


def _prune_file(root: Path, name: str, size: int, sha256: str, oldest: date, pruned: Pruned) -> bool:
    """Return False for a file that is not old yet: it was written again, or after its list's midnight."""
    if {"", ".", ".."} & set(name.split("/")):
        return True
    path = root / name
    try:
        # A link may lead out of the folder.
        inside = path.parent.resolve(strict=True).is_relative_to(root)
        facts = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    if not inside or not stat.S_ISREG(facts.st_mode) or facts.st_size != size or _hash(path) != sha256:
        pruned.changed += 1
        return True
    if datetime.fromtimestamp(facts.st_mtime, UTC).date() >= oldest:
        return False
    path.unlink()
    pruned.files += 1
    pruned.size += size
    _delete_empty(root, path.parent)
    return True


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _delete_empty(root: Path, folder: Path) -> None:
    with contextlib.suppress(OSError):
        while folder != root:
            folder.rmdir()
            folder = folder.parent
