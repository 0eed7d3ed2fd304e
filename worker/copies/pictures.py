"""Checks that a file is a whole picture, and makes its thumbnail.

The bytes come from outside. The structure of a file is walked here first, from its first byte to its end
marker, with bounds; Pillow sees only what has passed, and only with the reader of that one format.
"""

import io
import logging
import re
import struct
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import BinaryIO, Final

from PIL import Image, ImageCms, ImageOps
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

__all__ = ["MAX_PIXELS", "MAX_THUMBNAIL_PIXELS", "NotAPicture", "Picture", "inspect", "thumbnail"]

_log = logging.getLogger(__name__)

MAX_PIXELS: Final = 100_000_000
"""The largest picture that is stored, in pixels. Nothing is decoded for this, so it bounds what others must
decode. Pillow's own limits, which are one setting for the whole process, stay as they are."""

MAX_THUMBNAIL_PIXELS: Final = 20_000_000
"""The largest picture that gets a thumbnail, in pixels; the provider's 4K images have 17 million.

Pillow cannot be interrupted, so this bounds the time as well: at 20 million pixels the slowest file measured,
a PNG with alpha, took 1.4 s of CPU; a PNG of 1024 x 1024 takes 0.07 s."""

THUMBNAIL_SIDE: Final = 256

# At 20 million pixels, a decoding WebP takes 310 MB and a PNG with alpha 155 MB, as measured; so all threads
# of a process together take about 620 MB at most, and 40 MB for the usual pictures of a million pixels.
#
# They have threads of their own, because malloc keeps the memory of each thread that has decoded: after 32
# PNGs of 60 MB in 32 threads, a worker kept 630 MB.
_DECODERS: Final = ThreadPoolExecutor(2, "limner-pictures")

_PIECE: Final = 65_536
_MAX_PNG_CHUNKS: Final = 100_000  # 64 MB in chunks of 8 KiB, as libpng writes them, are 8,192
_MAX_SEGMENTS: Final = 100_000
# Each scan of a progressive JPEG passes over the whole image. Encoders write about ten.
_MAX_SCANS: Final = 100
_MAX_FILL: Final = 64
_MAX_GIF_BLOCKS: Final = 1_000_000  # 64 MB in full blocks are 250,000
_MAX_GIF_COMMENTS: Final = 65_536  # Pillow's time to read them is quadratic
_MAX_PROFILE: Final = 2_000_000

_PNG: Final = b"\x89PNG\r\n\x1a\n"
# A byte 0xFF in the data of a scan is followed by 0 or by a restart marker; anything else ends the scan.
_END_OF_SCAN: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_SAYS_NOTHING: Final = frozenset({"", "application/octet-stream", "binary/octet-stream"})
_SPEAKABLE: Final = re.compile(r"[a-z0-9.+-]{1,40}/[a-z0-9.+-]{1,40}")


class NotAPicture(Exception):
    """The file is no whole picture. ``reason`` is a short phrase for a log, without bytes of the file."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


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
    kind = next((kind for kind in _KINDS if kind.begins(head)), None)
    if kind is None:
        raise NotAPicture(_described(head, size))
    _compare(kind, declared)
    reader = _Reader(file, kind.name, size)
    kind.walk(reader)
    # A WebP is read as a whole, and others have headers of any length.
    width, height = _DECODERS.submit(_size, kind, file).result()
    reader.bound(width, height)
    file.seek(0)
    return Picture(content_type=kind.content_type, ext=kind.ext, width=width, height=height)


def thumbnail(file: BinaryIO, picture: Picture) -> bytes | None:
    """A WebP of at most 256 x 256 pixels, upright, in sRGB, without metadata; of the first frame.

    None if the picture is too large for one, or if Pillow cannot decode it, which is logged. The position of
    the file is 0 afterwards.
    """
    pixels = picture.width * picture.height
    if pixels > MAX_THUMBNAIL_PIXELS:
        _log.info("no thumbnail: the picture has %d x %d pixels", picture.width, picture.height)
        return None
    try:
        kind = next(kind for kind in _KINDS if kind.ext == picture.ext)
        return _DECODERS.submit(_encoded, kind, file).result()
    except Exception as error:
        _log.info("no thumbnail: %s cannot be decoded (%s)", picture.content_type, type(error).__name__)
        return None
    finally:
        file.seek(0)


def _encoded(kind: "_Kind", file: BinaryIO) -> bytes:
    file.seek(0)
    with kind.opened(file) as image:
        if image.width * image.height > MAX_THUMBNAIL_PIXELS:
            raise ValueError("the file is another one")
        small = _small(image)
    out = io.BytesIO()
    small.save(out, "WEBP", quality=80, method=1)  # half the time of method 4, same size
    return out.getvalue()


def _small(image: ImageFile) -> Image.Image:
    profile = image.info.get("icc_profile")
    box = (THUMBNAIL_SIDE, THUMBNAIL_SIDE)
    small: Image.Image = image
    if image.mode.startswith("I;16"):
        small = image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    elif image.mode in {"1", "P", "PA"} or "transparency" in image.info:
        small = image.convert("RGBA" if image.has_transparency_data else "RGB")
    # It decodes a JPEG at an eighth of its size where that is enough.
    small.thumbnail(box, Image.Resampling.LANCZOS, reducing_gap=2.0)
    small = ImageOps.exif_transpose(small)
    small = _in_srgb(small, profile)
    small.info = {}
    return small


def _in_srgb(image: Image.Image, profile: object) -> Image.Image:
    alpha = image.getchannel("A") if image.mode in {"RGBA", "LA"} else None
    # A grey picture keeps its own values: a profile of RGB does not fit it.
    if (
        isinstance(profile, bytes)
        and 0 < len(profile) <= _MAX_PROFILE
        and image.mode in {"RGB", "RGBA", "CMYK"}
    ):
        colours = image.convert("RGB") if alpha else image
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(
                colours, source, ImageCms.createProfile("sRGB"), outputMode="RGB"
            )
        except (ImageCms.PyCMSError, OSError):
            converted = None  # browsers, too, show a picture whose profile is broken
        image = converted or colours
    image = image.convert("RGB")
    if alpha:
        image.putalpha(alpha)
    return image


class _Reader:
    """Reads a file in order. An end before the end of the picture is :class:`NotAPicture`."""

    def __init__(self, file: BinaryIO, name: str, size: int) -> None:
        self.file = file
        self.name = name
        self.size = size

    def to(self, position: int) -> None:
        if position > self.size:
            raise self.cut_off()
        self.file.seek(position)

    def take(self, count: int) -> bytes:
        taken = self.file.read(count)
        if len(taken) < count:
            raise self.cut_off()
        return taken

    def skip(self, count: int) -> None:
        self.to(self.file.tell() + count)

    def bound(self, width: int, height: int) -> None:
        """Raises :class:`NotAPicture` if no picture may have this size."""
        if width < 1 or height < 1:
            raise self.malformed("has no size")
        if width * height > MAX_PIXELS:
            raise self.malformed(f"has {width} x {height} pixels, more than {MAX_PIXELS:,}")

    def cut_off(self) -> NotAPicture:
        return NotAPicture(f"{self.name} image is cut off after {self.size:,} bytes")

    def malformed(self, why: str) -> NotAPicture:
        return NotAPicture(f"{self.name} image {why}")


def _walk_png(reader: _Reader) -> None:
    reader.to(len(_PNG))
    data = False
    for number in range(_MAX_PNG_CHUNKS):
        length, name = struct.unpack(">I4s", reader.take(8))
        if (number == 0) != (name == b"IHDR") or (number == 0 and length != 13):
            raise reader.malformed("has no header")
        if reader.file.tell() + length + 4 > reader.size:
            raise reader.cut_off()
        crc = zlib.crc32(name)
        left = length
        while left:
            piece = reader.take(min(left, _PIECE))
            if number == 0:
                reader.bound(*struct.unpack_from(">II", piece))
            crc = zlib.crc32(piece, crc)
            left -= len(piece)
        if crc.to_bytes(4) != reader.take(4):
            raise reader.malformed("is damaged: a checksum differs")
        data = data or name == b"IDAT"
        if name == b"IEND":
            if not data:
                raise reader.malformed("has no data")
            return
    raise reader.malformed("has too many chunks")


def _walk_jpeg(reader: _Reader) -> None:
    reader.to(2)
    sized, scans = False, 0
    for _ in range(_MAX_SEGMENTS):
        marker = _jpeg_marker(reader)
        if marker == 0xD9:
            if not scans:
                raise reader.malformed("has no data")
            return
        length = int.from_bytes(reader.take(2))
        if length < 2:
            raise reader.malformed("has a malformed segment")
        if 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:
            if length < 8 or sized:
                raise reader.malformed("has a malformed header")
            _, height, width = struct.unpack(">BHH", reader.take(5))
            reader.bound(width, height)
            sized, length = True, length - 5
        reader.skip(length - 2)
        if marker == 0xDA:
            scans += 1
            if not sized or scans > _MAX_SCANS:
                raise reader.malformed("has a scan before its header" if not sized else "has too many scans")
            _pass_scan(reader)
    raise reader.malformed("has too many segments")


def _jpeg_marker(reader: _Reader) -> int:
    if reader.take(1) == b"\xff":
        for _ in range(_MAX_FILL):
            marker = reader.take(1)[0]
            if marker != 0xFF:
                return marker
    raise reader.malformed("has a malformed segment")


def _pass_scan(reader: _Reader) -> None:
    file = reader.file
    while True:
        start = file.tell()
        piece = reader.take(min(_PIECE, max(reader.size - start, 2)))
        if found := _END_OF_SCAN.search(piece):
            file.seek(start + found.start())
            return
        if piece[-1] == 0xFF:
            file.seek(-1, io.SEEK_CUR)


def _walk_webp(reader: _Reader) -> None:
    reader.to(4)
    reader.to(int.from_bytes(reader.take(4), "little") + 8)
    reader.to(12)
    chunk = reader.take(18)
    if chunk.startswith(b"VP8X"):
        reader.bound(int.from_bytes(chunk[12:15], "little") + 1, int.from_bytes(chunk[15:18], "little") + 1)


def _walk_gif(reader: _Reader) -> None:
    reader.to(6)
    width, height, flags = struct.unpack("<HHBxx", reader.take(7))
    reader.bound(width, height)
    _pass_colours(reader, flags)
    blocks, comments, frames = _MAX_GIF_BLOCKS, 0, 0
    while blocks > 0:
        blocks -= 1
        match reader.take(1)[0]:
            case 0x3B if frames:
                return
            case 0x21:
                label = reader.take(1)[0]
            case 0x2C:
                frames, label = frames + 1, 0
                *_, flags = struct.unpack("<HHHHB", reader.take(9))
                _pass_colours(reader, flags)
                reader.skip(1)
            case _:
                raise reader.malformed("has a malformed block")
        length = reader.take(1)[0]
        while length and blocks:
            blocks -= 1
            comments += length + 1 if label == 0xFE else 0
            length = reader.take(length + 1)[-1]
        if comments > _MAX_GIF_COMMENTS:
            break
    raise reader.malformed("has too many blocks")


def _pass_colours(reader: _Reader, flags: int) -> None:
    if flags & 0x80:
        reader.skip(3 * 2 ** ((flags & 7) + 1))


@dataclass(frozen=True)
class _Kind:
    name: str
    content_type: str
    ext: str
    aliases: frozenset[str]
    begins: Callable[[bytes], bool]
    walk: Callable[[_Reader], None]
    # The class itself, because Image.open tries others: a JPEG can become an MPO.
    opened: Callable[[BinaryIO], ImageFile]


_KINDS: Final = (
    _Kind(
        "a PNG",
        "image/png",
        "png",
        frozenset({"image/x-png", "image/apng", "image/vnd.mozilla.apng"}),
        lambda head: head.startswith(_PNG),
        _walk_png,
        PngImageFile,
    ),
    _Kind(
        "a JPEG",
        "image/jpeg",
        "jpg",
        frozenset({"image/jpg", "image/pjpeg"}),
        lambda head: head.startswith(b"\xff\xd8\xff"),
        _walk_jpeg,
        JpegImageFile,
    ),
    _Kind(
        "a WebP",
        "image/webp",
        "webp",
        frozenset(),
        lambda head: head.startswith(b"RIFF") and head[8:15] == b"WEBPVP8",
        _walk_webp,
        WebPImageFile,
    ),
    _Kind(
        "a GIF",
        "image/gif",
        "gif",
        frozenset(),
        lambda head: head.startswith((b"GIF87a", b"GIF89a")),
        _walk_gif,
        GifImageFile,
    ),
)


def _size(kind: _Kind, file: BinaryIO) -> tuple[int, int]:
    file.seek(0)
    try:
        with kind.opened(file) as image:
            return image.size
    except Exception as error:
        raise NotAPicture(f"{kind.name} image whose header Pillow cannot read") from error


def _compare(kind: _Kind, declared: str | None) -> None:
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
