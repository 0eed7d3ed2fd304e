"""Checks that a file is a whole picture."""

import io
import re
from dataclasses import dataclass
from typing import BinaryIO, Final

from worker.copies.formats import DECODERS, FORMATS, Format
from worker.copies.structure import NotAPicture, Reader

__all__ = ["NotAPicture", "Picture", "inspect"]

_SAYS_NOTHING: Final = frozenset({"", "application/octet-stream", "binary/octet-stream"})
_SPEAKABLE: Final = re.compile(r"[a-z0-9.+-]{1,40}/[a-z0-9.+-]{1,40}")


@dataclass(frozen=True)
class Picture:
    """The facts of a picture file. Width and height are in pixels, as stored: EXIF may ask for a rotation."""

    content_type: str
    ext: str
    width: int
    height: int


def inspect(file: BinaryIO, declared: str | None = None) -> Picture:
    """The picture in a seekable file, which is read as a whole; its position is 0 afterwards.

    ``declared`` is the Content-Type that it was served with. Bytes after the end of the picture are allowed,
    because cameras and editors write such; they are harmless where the store serves the picture's own type.
    Raises :class:`NotAPicture`.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    head = file.read(512)
    kind = next((kind for kind in FORMATS if kind.begins(head)), None)
    if kind is None:
        raise NotAPicture(_described(head, size))
    _compare(kind, declared)
    reader = Reader(file, kind.name, size)
    kind.walk(reader)
    # A WebP is read as a whole, and others have headers of any length.
    width, height = DECODERS.submit(_size, kind, file).result()
    reader.bound(width, height)
    file.seek(0)
    return Picture(content_type=kind.content_type, ext=kind.ext, width=width, height=height)


def _size(kind: Format, file: BinaryIO) -> tuple[int, int]:
    file.seek(0)
    try:
        with kind.opened(file) as image:
            return image.size
    except Exception as error:
        raise NotAPicture(f"{kind.name} image whose header Pillow cannot read") from error


def _compare(kind: Format, declared: str | None) -> None:
    said = (declared or "").split(";", 1)[0].strip().lower()
    if said in _SAYS_NOTHING or said == kind.content_type or said in kind.aliases:
        return
    raise NotAPicture(
        f"{kind.name} image that was served as {said if _SPEAKABLE.fullmatch(said) else 'another type'}"
    )


_SIGNATURES: Final = (
    (b"%pdf-", "a PDF document"),
    (b"<!doctype html", "an HTML page"),
    (b"<html", "an HTML page"),
    (b"<head", "an HTML page"),
    (b"<body", "an HTML page"),
    (b"<svg", "an SVG drawing"),
    (b"<?xml", "an XML document"),
    (b"<", "markup"),
    (b"{", "JSON"),
    (b"[", "JSON"),
    (b"bm", "a BMP image"),
    (b"ii*\0", "a TIFF image"),
    (b"mm\0*", "a TIFF image"),
    (b"pk\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "gzip data"),
)


def _described(head: bytes, size: int) -> str:
    if not size:
        return "an empty file"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if head[4:8] == b"ftyp":
        return "an AVIF or HEIC image, or a video"
    for signature, description in _SIGNATURES:
        if text.startswith(signature):
            return f"{description} of {size:,} bytes"
    return f"{size:,} bytes that begin with no known signature"
