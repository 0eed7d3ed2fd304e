"""The names of copies: safe in every store, different for different images, and always under the prefix.

A value of free text keeps letters, digits and ``. _ -``. Every other byte of its UTF-8 becomes ``=XX``, and
so do ``=`` and a dot at an end. ``==`` begins the hash of a value that was cut.
"""

import hashlib
import re
from datetime import UTC, datetime
from typing import Final

from config.copying import LONGEST_VALUE, pieces

THUMBNAIL: Final = ".thumb.webp"
NO_LANE: Final = "no-lane"

_LONGEST_FOLDER: Final = 280
_UNSAFE: Final = re.compile(rb"[^A-Za-z0-9._-]|^\.|\.\Z")
_HASHED: Final = 34
"""Bytes of ``==`` and 128 bits in hex: nobody finds two values with the same."""


class ObjectNames:
    """The names that a template gives to images."""

    def __init__(self, template: str) -> None:
        """Take the template of LIMNER_COPY_NAME; raises ValueError for one that breaks its rules."""
        self._pieces = pieces(template)

    def name(
        self,
        *,
        date: datetime,
        job_id: str,
        number: int,
        ext: str,
        lane: str | None,
        sha256: str,
        task_id: str,
        folder: str | None,
    ) -> str:
        """Return the name under the prefix, of 790 bytes at most; the date is used in UTC.

        ``folder`` is a job's own, with slashes between its segments. It comes before the rest.
        """
        values = {
            "job_id": safe(job_id),
            "number": str(number),
            "ext": safe(ext),
            "lane": safe(lane) if lane else NO_LANE,
            "sha256": safe(sha256),
            "task_id": safe(task_id),
        }
        day = date.astimezone(UTC)
        name = "".join(
            piece.text
            if piece.field is None
            else day.strftime(piece.spec)
            if piece.field == "date"
            else values[piece.field]
            for piece in self._pieces
        )
        if name.endswith(THUMBNAIL):
            # A job may have such an id. Its image must not replace the thumbnail of another one.
            name = f"{name.removesuffix(THUMBNAIL)}=2E{THUMBNAIL[1:]}"
        return f"{_safe_folder(folder)}/{name}" if folder else name


def thumbnail_name(name: str) -> str:
    """Return the name of the thumbnail beside an image."""
    return name + THUMBNAIL


def safe(value: str, longest: int = LONGEST_VALUE) -> str:
    """Return a text as a part of a name; two texts never give the same part."""
    # Text from JSON may hold half of a surrogate pair.
    raw = value.encode("utf-8", "surrogatepass")
    escaped = _UNSAFE.sub(lambda found: b"=%02X" % found[0][0], raw).decode("ascii") or "="
    if len(escaped) <= longest:
        return escaped
    return escaped[: longest - _HASHED] + _hash(raw)


def _safe_folder(folder: str) -> str:
    # Without dots, no folder has the name of an image, whose place it would take on a disk.
    segments = [safe(segment).replace(".", "=2E") for segment in folder.strip("/").split("/")]
    name = "/".join(segments)
    if len(name) <= _LONGEST_FOLDER:
        return name
    raw = folder.strip("/").encode("utf-8", "surrogatepass")
    return _hash(raw)


def _hash(raw: bytes) -> str:
    return f"=={hashlib.sha256(raw).hexdigest()[: _HASHED - 2]}"
