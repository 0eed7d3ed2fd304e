"""Picture files for tests, made here."""

import io
import random
import struct
import zlib
from functools import cache

from PIL import Image

TYPES = {"png": "image/png", "jpg": "image/jpeg", "webp": "image/webp", "gif": "image/gif"}
FORMATS = {"png": "PNG", "jpg": "JPEG", "webp": "WEBP", "gif": "GIF"}
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def drawn(mode: str, size: tuple[int, int] = (90, 60)) -> Image.Image:
    noise = Image.frombytes("RGB", (9, 6), random.Random(7).randbytes(162)).resize(size)
    if mode == "I;16":
        return Image.frombytes("I;16", size, struct.pack("<H", 40_000) * (size[0] * size[1]))
    image = noise.convert(mode if mode not in {"LA", "RGBA"} else mode[:-1])
    if mode in {"LA", "RGBA"}:
        image.putalpha(Image.linear_gradient("L").resize(size))
    return image


def saved(image: Image.Image, ext: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, FORMATS[ext], **options)
    return out.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + zlib.crc32(name + data).to_bytes(4)


def png(width: int, height: int, *between: bytes, data: bytes = b"") -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return PNG_SIGNATURE + header + b"".join(between) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@cache
def corpus() -> dict[str, tuple[str, bytes]]:
    frames = [drawn("RGB"), drawn("RGB").rotate(180), drawn("RGB").rotate(90)]
    moving = {"save_all": True, "append_images": frames[1:], "duration": 50}
    made: dict[str, tuple[str, bytes]] = {}
    for mode in ("1", "L", "P", "LA", "RGB", "RGBA", "I;16"):
        made[f"png {mode}"] = "png", saved(drawn(mode), "png")
    made["png transparent palette"] = "png", saved(drawn("P"), "png", transparency=0)
    made["png transparent colour"] = "png", saved(drawn("RGB"), "png", transparency=(0, 0, 0))
    made["png animated"] = "png", saved(frames[0], "png", **moving)
    for mode in ("L", "RGB", "CMYK"):
        made[f"jpg {mode}"] = "jpg", saved(drawn(mode), "jpg")
    made["jpg progressive"] = "jpg", saved(drawn("RGB"), "jpg", progressive=True)
    made["jpg restarts"] = "jpg", saved(drawn("RGB"), "jpg", restart_marker_blocks=2)
    for mode in ("L", "RGB", "RGBA"):
        made[f"webp {mode}"] = "webp", saved(drawn(mode), "webp")
    made["webp lossless"] = "webp", saved(drawn("RGB"), "webp", lossless=True)
    made["webp animated"] = "webp", saved(frames[0], "webp", **moving)
    for mode in ("L", "P"):
        made[f"gif {mode}"] = "gif", saved(drawn(mode), "gif")
    made["gif animated"] = "gif", saved(frames[0].convert("P"), "gif", comment=b"words", **moving)
    return made
