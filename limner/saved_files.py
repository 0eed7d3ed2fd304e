"""The files that images are saved as: their names, their kinds and their hashes."""

import hashlib
import re
from pathlib import Path
from typing import Final

from limner.sources import PIECE, open_regular

EXTENSIONS: Final = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", "image/gif": "gif"}
"""Of the kinds of images that Limner knows, by their content types."""
HEAD: Final = 12
"""The first bytes of a file, which say what it is."""
_LONGEST: Final = 100
"""Characters of a job's id in a name. A name may have 255 bytes, and a temporary one is longer."""
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_-]|^-")


def stem(job_id: str) -> str:
    """The job's id as the beginning of a file's name; ids that differ give names that differ."""
    safe = _UNSAFE.sub("_", job_id)[:_LONGEST]
    # Some file systems take upper and lower case for the same.
    if safe == job_id.lower():
        return safe
    return f"{safe}-{hashlib.sha256(job_id.encode(errors='surrogatepass')).hexdigest()[:12]}"


def extension_of(head: bytes) -> str | None:
    """The extension that goes with a file's first bytes; None if they are of no image that Limner knows."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if head.startswith(b"\xff\xd8\xff"):
        return "jpg"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    return "webp" if head[:4] == b"RIFF" and head[8:12] == b"WEBP" else None


def digest_of(path: Path) -> str | None:
    """The SHA-256 of a regular file; None if there is none. A symbolic link is none."""
    try:
        file = open_regular(path)
    except OSError:
        return None
    with file:
        hashed = hashlib.sha256()
        while piece := file.read(PIECE):
            hashed.update(piece)
        return hashed.hexdigest()
