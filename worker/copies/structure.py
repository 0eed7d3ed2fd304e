"""The structure of picture files: each is walked from its first byte to its end marker, with bounds.

The bytes come from outside. Pillow sees only what has passed.
"""

import io
import re
import struct
import zlib
from typing import BinaryIO, Final

MAX_PIXELS: Final = 100_000_000
"""The largest picture that is stored, in pixels. Nothing is decoded for this, so it bounds what others must
decode. Pillow's own limits, which are one setting for the whole process, stay as they are."""
_PIECE: Final = 65_536
_MAX_PNG_CHUNKS: Final = 100_000  # 64 MB in chunks of 8 KiB, as libpng writes them, are 8,192
_MAX_SEGMENTS: Final = 100_000
# Each scan of a progressive JPEG passes over the whole image. Encoders write about ten.
_MAX_SCANS: Final = 100
_MAX_FILL: Final = 64
_MAX_GIF_BLOCKS: Final = 1_000_000  # 64 MB in full blocks are 250,000
_MAX_GIF_COMMENTS: Final = 65_536  # Pillow's time to read them is quadratic
PNG: Final = b"\x89PNG\r\n\x1a\n"
# A byte 0xFF in the data of a scan is followed by 0 or by a restart marker; anything else ends the scan.
_END_OF_SCAN: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


class NotAPicture(Exception):
    """The file is no whole picture. ``reason`` is a short phrase for a log, without bytes of the file."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Reader:
    """Reads a file in order. An end before the end of the picture is :class:`NotAPicture`."""

    def __init__(self, file: BinaryIO, name: str, size: int) -> None:
        self.file = file
        self.name = name
        self.size = size

    def to(self, position: int) -> None:
        """Go to a position."""
        if position > self.size:
            raise self.cut_off()
        self.file.seek(position)

    def take(self, count: int) -> bytes:
        """Return so many bytes."""
        taken = self.file.read(count)
        if len(taken) < count:
            raise self.cut_off()
        return taken

    def skip(self, count: int) -> None:
        """Leave so many bytes out."""
        self.to(self.file.tell() + count)

    def bound(self, width: int, height: int) -> None:
        """Raises :class:`NotAPicture` if no picture may have this size."""
        if width < 1 or height < 1:
            raise self.malformed("has no size")
        if width * height > MAX_PIXELS:
            raise self.malformed(f"has {width} x {height} pixels, more than {MAX_PIXELS:,}")

    def cut_off(self) -> NotAPicture:
        """Return the error about a file that ends too early."""
        return NotAPicture(f"{self.name} image is cut off after {self.size:,} bytes")

    def malformed(self, why: str) -> NotAPicture:
        """Return the error about a file of another structure."""
        return NotAPicture(f"{self.name} image {why}")


def walk_png(reader: Reader) -> None:
    """Walk the chunks, and compare their checksums. Raises NotAPicture."""
    reader.to(len(PNG))
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


def walk_jpeg(reader: Reader) -> None:
    """Walk the segments and scans. Raises NotAPicture."""
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


def _jpeg_marker(reader: Reader) -> int:
    if reader.take(1) == b"\xff":
        for _ in range(_MAX_FILL):
            marker = reader.take(1)[0]
            if marker != 0xFF:
                return marker
    raise reader.malformed("has a malformed segment")


def _pass_scan(reader: Reader) -> None:
    file = reader.file
    while True:
        start = file.tell()
        piece = reader.take(min(_PIECE, max(reader.size - start, 2)))
        if found := _END_OF_SCAN.search(piece):
            file.seek(start + found.start())
            return
        if piece[-1] == 0xFF:
            file.seek(-1, io.SEEK_CUR)


def walk_webp(reader: Reader) -> None:
    """Compare the length with that of the file. Raises NotAPicture."""
    reader.to(4)
    reader.to(int.from_bytes(reader.take(4), "little") + 8)
    reader.to(12)
    chunk = reader.take(18)
    if chunk.startswith(b"VP8X"):
        reader.bound(int.from_bytes(chunk[12:15], "little") + 1, int.from_bytes(chunk[15:18], "little") + 1)


def walk_gif(reader: Reader) -> None:
    """Walk the blocks. Raises NotAPicture."""
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


def _pass_colours(reader: Reader, flags: int) -> None:
    if flags & 0x80:
        reader.skip(3 * 2 ** ((flags & 7) + 1))
