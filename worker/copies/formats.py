"""The formats that count as pictures."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import BinaryIO, Final

from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from worker.copies.structure import PNG, Reader, walk_gif, walk_jpeg, walk_png, walk_webp

# At 20 million pixels, a decoding WebP takes 310 MB and a PNG with alpha 155 MB, as measured; so all threads
# of a process together take about 620 MB at most, and 40 MB for the usual pictures of a million pixels.
#
# They have threads of their own, because malloc keeps the memory of each thread that has decoded: after 32
# PNGs of 60 MB in 32 threads, a worker kept 630 MB.
DECODERS: Final = ThreadPoolExecutor(2, "limner-pictures")


@dataclass(frozen=True)
class Format:
    """A format: how its files begin, how they are walked, and what opens them."""

    name: str
    content_type: str
    ext: str
    aliases: frozenset[str]
    begins: Callable[[bytes], bool]
    walk: Callable[[Reader], None]
    # The class itself, because Image.open tries others: a JPEG can become an MPO.
    opened: Callable[[BinaryIO], ImageFile]


FORMATS: Final = (
    Format(
        "a PNG",
        "image/png",
        "png",
        frozenset({"image/x-png", "image/apng", "image/vnd.mozilla.apng"}),
        lambda head: head.startswith(PNG),
        walk_png,
        PngImageFile,
    ),
    Format(
        "a JPEG",
        "image/jpeg",
        "jpg",
        frozenset({"image/jpg", "image/pjpeg"}),
        lambda head: head.startswith(b"\xff\xd8\xff"),
        walk_jpeg,
        JpegImageFile,
    ),
    Format(
        "a WebP",
        "image/webp",
        "webp",
        frozenset(),
        lambda head: head.startswith(b"RIFF") and head[8:15] == b"WEBPVP8",
        walk_webp,
        WebPImageFile,
    ),
    Format(
        "a GIF",
        "image/gif",
        "gif",
        frozenset(),
        lambda head: head.startswith((b"GIF87a", b"GIF89a")),
        walk_gif,
        GifImageFile,
    ),
)
