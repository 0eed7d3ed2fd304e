"""The formats of result files: their media types, and files that differ in nothing but a comment.

To draw a picture costs some 50 ms of CPU, and to put a comment into one that exists costs microseconds. So a
run of 100,000 files can have a content for each, and measure something other than the stand-in.
"""

import functools
import hashlib
import io
import struct
import zlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from PIL import Image

__all__ = ["FORMATS", "encoded_image", "noise", "stamped"]

FORMATS: Mapping[str, str] = MappingProxyType(
    {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp", "gif": "image/gif"}
)
"""Media types by format. All but ``png`` are variants of the fault ``image_format``."""

_COMMENT: Final = b"limner sandbox"
_QUALITY: Final = 90
_PNG_HEADER_BYTES: Final = 8 + 25
_WEBP_SIZE: Final = slice(4, 8)


def encoded_image(image: Image.Image, file_format: str) -> bytes:
    """The image as a file of that format, one of :data:`FORMATS`."""
    written = io.BytesIO()
    if file_format == "png":
        image.save(written, "PNG", compress_level=3)
    elif file_format == "jpeg":
        image.save(written, "JPEG", quality=_QUALITY)
    elif file_format == "webp":
        # Only the extended form of WebP, which metadata ask for, may have chunks that nobody knows.
        image.save(written, "WEBP", quality=_QUALITY, method=0, exif=b"Exif\x00\x00")
    else:
        # Only the newer GIF, which a comment asks for, may have comments.
        image.save(written, "GIF", comment=_COMMENT)
    return written.getvalue()


@functools.cache
def noise(pixels: int, file_format: str) -> bytes:
    """A file of ``pixels`` times ``pixels``, always the same, that no encoder makes smaller."""
    drawn = hashlib.shake_256(_COMMENT).digest(pixels * pixels * 3)
    return encoded_image(Image.frombytes("RGB", (pixels, pixels), drawn), file_format)


def stamped(file: bytes, file_format: str, text: str) -> bytes:
    """The same image as a file that holds a comment of at most 255 ASCII characters.

    ``file`` must come from :func:`encoded_image`.
    """
    return _STAMPS[file_format](file, text.encode("ascii"))


def _png(file: bytes, text: bytes) -> bytes:
    chunk = b"tEXt" + b"Comment\x00" + text
    whole = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return file[:_PNG_HEADER_BYTES] + whole + file[_PNG_HEADER_BYTES:]


def _jpeg(file: bytes, text: bytes) -> bytes:
    behind_jfif = 4 + int.from_bytes(file[4:6], "big")
    comment = b"\xff\xfe" + struct.pack(">H", len(text) + 2) + text
    return file[:behind_jfif] + comment + file[behind_jfif:]


def _webp(file: bytes, text: bytes) -> bytes:
    chunk = b"STMP" + struct.pack("<I", len(text)) + text + b"\x00" * (len(text) % 2)
    length = int.from_bytes(file[_WEBP_SIZE], "little") + len(chunk)
    return file[:4] + struct.pack("<I", length) + file[8:] + chunk


def _gif(file: bytes, text: bytes) -> bytes:
    return file[:-1] + b"\x21\xfe" + bytes([len(text)]) + text + b"\x00" + file[-1:]


_STAMPS: Mapping[str, Callable[[bytes, bytes], bytes]] = MappingProxyType(
    {"png": _png, "jpeg": _jpeg, "webp": _webp, "gif": _gif}
)
