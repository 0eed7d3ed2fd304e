"""The comparison of a folder of copies with the ledger's records and with the list of what was paid for."""

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from PIL import Image

from limner.status import Copy
from worker.copies.names import thumbnail_name


@dataclass(frozen=True)
class Comparison:
    """What a folder has too few, too many, or otherwise than it should. Empty sets are agreement."""

    missing: frozenset[str]
    """Paths of the provider's files that are not stored."""
    doubled: frozenset[str]
    """Paths of the provider's files that are stored more than once."""
    wrong: frozenset[str]
    """Names of objects that are cut off, or have other bytes than the record says or the provider served."""
    foreign: frozenset[str]
    """Names of objects that no record names."""

    def __iter__(self) -> Iterator[str]:
        for kind in ("missing", "doubled", "wrong", "foreign"):
            yield from (f"{kind}: {name}" for name in sorted(getattr(self, kind)))


def compare(folder: Path, copies: Iterable[Copy], files: Collection[Mapping[str, Any]]) -> Comparison:
    """Compare a folder with the copies on record, and with these rows of ``SandboxProvider.files()``."""
    served = {row["path"]: {row["sha256"], *row["others"]} for row in files}
    stored: Counter[str] = Counter()
    expected: set[str] = set()
    wrong: set[str] = set()
    for copy in copies:
        if copy.file is None or not copy.stored:
            continue
        path = urlsplit(copy.url).path
        stored[path] += 1
        names = {copy.file.name, *([thumbnail_name(copy.file.name)] if copy.file.thumbnail else [])}
        wrong |= names & expected
        expected |= names
        if copy.file.sha256 not in served.get(path, ()) or _hash(folder / copy.file.name) != copy.file.sha256:
            wrong.add(copy.file.name)
        if copy.file.thumbnail and not _is_thumbnail(folder / thumbnail_name(copy.file.name)):
            wrong.add(thumbnail_name(copy.file.name))
    return Comparison(
        missing=frozenset(served.keys() - stored.keys()),
        doubled=frozenset(path for path, times in stored.items() if times > 1),
        wrong=frozenset(wrong),
        foreign=frozenset(objects(folder) - expected),
    )


def objects(folder: Path) -> set[str]:
    """The names of all objects in a folder of copies."""
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {path.as_posix() for path in paths if path.parts[0] != ".limner"}


def _hash(path: Path) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


def _is_thumbnail(path: Path) -> bool:
    try:
        with Image.open(path, formats=["WEBP"]) as image:
            image.load()
            return max(image.size) <= 256
    except OSError:
        return False
