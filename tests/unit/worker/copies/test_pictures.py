"""Pictures as they come from outside: whole, cut off, disguised and hostile. The files are made here."""

import io
import logging
import random
import struct
import threading
import zlib
from functools import cache

import pytest
from PIL import Image, ImageCms

from worker.copies.pictures import MAX_THUMBNAIL_PIXELS, NotAPicture, Picture, inspect, thumbnail

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


def reason(data: bytes, declared: str | None = None) -> str:
    with pytest.raises(NotAPicture) as refused:
        inspect(io.BytesIO(data), declared)
    assert len(refused.value.reason) <= 150
    assert refused.value.reason.isascii()
    return refused.value.reason


def thumbnailed(data: bytes) -> Image.Image:
    file = io.BytesIO(data)
    made = thumbnail(file, inspect(file))
    assert made is not None
    assert file.tell() == 0
    image = Image.open(io.BytesIO(made), formats=["WEBP"])
    image.load()
    return image


@pytest.mark.parametrize("name", corpus())
def test_a_whole_picture_is_known_by_its_bytes(name: str) -> None:
    ext, data = corpus()[name]
    file = io.BytesIO(data)
    assert inspect(file) == Picture(TYPES[ext], ext, 90, 60)
    assert file.tell() == 0
    assert thumbnailed(data).size == (90, 60)


@pytest.mark.parametrize("name", corpus())
def test_a_file_that_is_cut_anywhere_is_no_picture(name: str) -> None:
    _, data = corpus()[name]
    for end in {*range(40), *range(0, len(data), 13), *range(len(data) - 40, len(data))}:
        reason(data[:end])


def test_bytes_after_the_end_are_no_part_of_the_picture() -> None:
    for ext, data in corpus().values():
        for tail in (b"\0", b"\0" * 4096, b"<html><script>", b"PK\x03\x04", data):
            assert inspect(io.BytesIO(data + tail)) == Picture(TYPES[ext], ext, 90, 60)


def test_a_cut_that_ends_like_a_picture_is_found() -> None:
    # The picture in the EXIF data ends with the marker with which the whole file ends.
    inner = corpus()["jpg RGB"][1]
    whole = saved(drawn("RGB"), "jpg", exif=b"Exif\0\0" + inner)
    cut = whole[: whole.index(inner) + len(inner)]
    assert cut.endswith(b"\xff\xd9")
    assert "cut off" in reason(cut)


def test_a_scan_longer_than_a_piece_is_walked_to_its_end() -> None:
    noise = Image.frombytes("RGB", (400, 400), random.Random(1).randbytes(480_000))
    data = saved(noise, "jpg", quality=95)
    assert len(data) > 2 * 65_536
    assert inspect(io.BytesIO(data)).width == 400
    for end in (65_536, 65_537, 131_072, len(data) - 1):
        assert "cut off" in reason(data[:end])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "an empty file"),
        (b"\n <!DOCTYPE html><html>secret", "an HTML page of 29 bytes"),
        (b"\xef\xbb\xbf<html>", "an HTML page"),
        (b'{"code": 404}', "JSON"),
        (b"<svg xmlns='x'/>", "an SVG drawing"),
        (b"<?xml version='1.0'?><Error>", "an XML document"),
        (b"BM" + b"\0" * 60, "a BMP image"),
        (b"II*\0" + b"\0" * 60, "a TIFF image"),
        (b"%PDF-1.7", "a PDF document"),
        (b"PK\x03\x04", "a ZIP archive"),
        (b"\x1f\x8b\x08", "gzip data"),
        (b"\0\0\0\x20ftypavif", "an AVIF or HEIC image"),
        (b"RIFF\x04\0\0\0WAVE", "12 bytes that begin with no known signature"),
        (b"secret" * 1000, "6,000 bytes that begin with no known signature"),
    ],
)
def test_what_is_no_picture_is_described_without_its_bytes(data: bytes, words: str) -> None:
    assert words in reason(data)
    assert "secret" not in reason(data)


@pytest.mark.parametrize(
    ("ext", "declared"),
    [
        ("png", None),
        ("png", ""),
        ("png", "application/octet-stream"),
        ("gif", "binary/octet-stream"),
        ("png", "Image/PNG; charset=binary"),
        ("jpg", "image/jpg"),
        ("jpg", "image/pjpeg"),
    ],
)
def test_a_type_that_agrees_or_says_nothing_is_accepted(ext: str, declared: str | None) -> None:
    data = next(data for kind, data in corpus().values() if kind == ext)
    assert inspect(io.BytesIO(data), declared).ext == ext


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        ("image/jpeg", "served as image/jpeg"),
        ("text/html; charset=utf-8", "served as text/html"),
        ("image/png, text/html", "served as another type"),
        ("x" * 10_000 + "/y", "served as another type"),
        ("image/png\r\nforged line", "served as another type"),
    ],
)
def test_a_type_that_disagrees_is_refused(declared: str, words: str) -> None:
    assert words in reason(corpus()["png RGB"][1], declared)


def test_a_picture_of_too_many_pixels_is_refused_before_pillow_sees_it() -> None:
    jpeg = bytearray(corpus()["jpg RGB"][1])
    at = jpeg.index(b"\xff\xc0")
    jpeg[at + 5 : at + 9] = struct.pack(">HH", 60_000, 60_000)
    gif = bytearray(corpus()["gif P"][1])
    gif[6:10] = struct.pack("<HH", 60_000, 60_000)
    webp = bytearray(corpus()["webp RGBA"][1])
    webp[24:30] = (59_999).to_bytes(3, "little") * 2
    for data in (png(60_000, 60_000), bytes(jpeg), bytes(gif), bytes(webp)):
        assert "60000 x 60000 pixels" in reason(data)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (png(0, 5), "has no size"),
        (PNG_SIGNATURE + chunk(b"IEND", b""), "has no header"),
        (png(5, 5).replace(b"IDAT", b"IDAX"), "checksum"),
        (png(5, 5, *[chunk(b"tEXt", b"")] * 100_001), "too many chunks"),
        (png(5, 5, struct.pack(">I", 2**31) + b"iCCP"), "cut off"),
        (png(5, 5, chunk(b"zTXt", b"a\0\0" + zlib.compress(b"\0" * 10**8))), "Pillow cannot read"),
        (b"\xff\xd8" + b"\xff" * 10_000, "malformed segment"),
        (b"\xff\xd8" + b"\xff\xe0\0\2" * 100_001, "too many segments"),
        (b"\xff\xd8\xff\xd9", "has no data"),
        (b"GIF89a\5\0\5\0\0\0\0" + b"!\xfe\1a\0" * 40_000 + b";", "too many blocks"),
        (b"GIF89a\5\0\5\0\0\0\0;", "malformed block"),
        (b"GIF89a\5\0\5\0\0\0\0!\xfe" + (b"\xff" + b"a" * 255) * 300 + b"\0", "too many blocks"),
        (b"GIF89a\5\0\5\0\0\0\0!\xff" + b"\1a" * 1_000_001 + b"\0", "too many blocks"),
        (b"RIFF\x16\0\0\0WEBPVP8 " + b"\0" * 14, "Pillow cannot read"),
    ],
    ids=range(14),
)
def test_a_hostile_or_damaged_file_is_refused(data: bytes, words: str) -> None:
    assert words in reason(data)


def test_a_jpeg_of_countless_scans_is_refused() -> None:
    data = corpus()["jpg progressive"][1]
    last = data.rindex(b"\xff\xda")
    assert "too many scans" in reason(data[:-2] + data[last:-2] * 100 + b"\xff\xd9")


def test_a_picture_whose_data_is_broken_gets_no_thumbnail(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    file = io.BytesIO(png(300, 300, data=b"no zlib stream"))
    assert thumbnail(file, inspect(file)) is None
    assert "no thumbnail: image/png cannot be decoded" in caplog.text


def test_a_picture_too_large_to_decode_gets_no_thumbnail(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    side = int(MAX_THUMBNAIL_PIXELS**0.5) + 1
    bomb = io.BytesIO(png(side, side, data=zlib.compress(b"\0" * (side + 1) * side)))
    assert thumbnail(bomb, inspect(bomb)) is None
    # Facts of another file do not help it.
    assert thumbnail(bomb, Picture("image/png", "png", 5, 5)) is None
    assert len(caplog.records) == 2


@pytest.mark.parametrize(
    ("size", "small"),
    [((1024, 1024), (256, 256)), ((1600, 400), (256, 64)), ((3000, 2), (256, 1)), ((5, 5), (5, 5))],
)
@pytest.mark.parametrize("ext", TYPES)
def test_a_thumbnail_fits_the_square_and_keeps_the_shape(
    ext: str, size: tuple[int, int], small: tuple[int, int]
) -> None:
    assert thumbnailed(saved(drawn("RGB", size), ext)).size == small


@pytest.mark.parametrize("ext", ["png", "jpg", "webp"])
def test_a_thumbnail_stands_upright_and_drops_metadata(ext: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "a secret place"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = saved(drawn("RGB", (400, 200)), ext, exif=exif.tobytes(), icc_profile=profile)
    assert inspect(io.BytesIO(data)).width == 400
    made = thumbnailed(data)
    assert made.size == (128, 256)
    assert not {"exif", "xmp", "icc_profile"} & made.info.keys()


@pytest.mark.parametrize("name", ["png LA", "png RGBA", "png transparent palette", "webp RGBA"])
def test_a_thumbnail_keeps_transparency(name: str) -> None:
    assert thumbnailed(corpus()[name][1]).getchannel("A").getextrema() != (255, 255)


def test_a_thumbnail_has_the_colours_of_the_picture() -> None:
    colours: dict[str, int | tuple[int, ...]] = {"RGB": (200, 40, 90), "CMYK": (55, 215, 165, 0), "L": 120}
    for mode, ext in (("RGB", "png"), ("RGB", "webp"), ("CMYK", "jpg"), ("L", "gif")):
        image = Image.new(mode, (400, 400), colours[mode])
        shown = thumbnailed(saved(image, ext)).getpixel((100, 100))
        meant = image.convert("RGB").getpixel((100, 100))
        assert isinstance(shown, tuple)
        assert isinstance(meant, tuple)
        assert all(abs(a - b) < 12 for a, b in zip(shown, meant, strict=True)), (mode, ext, shown)
    grey = thumbnailed(corpus()["png I;16"][1]).getpixel((20, 20))
    assert isinstance(grey, tuple)
    assert abs(grey[0] - 40_000 / 256) < 6


def test_a_broken_profile_is_left_out() -> None:
    assert thumbnailed(saved(drawn("RGB"), "jpg", icc_profile=b"no profile")).size == (90, 60)


def test_a_colour_profile_is_applied() -> None:
    # A profile whose channels are swapped shows that it was used: its red primary is sRGB's green one.
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, green = profile.index(b"rXYZ"), profile.index(b"gXYZ")
    profile[red : red + 4], profile[green : green + 4] = b"gXYZ", b"rXYZ"
    image = Image.new("RGBA", (300, 300), (250, 0, 0, 128))
    shown = thumbnailed(saved(image, "png", icc_profile=bytes(profile))).getpixel((100, 100))
    assert isinstance(shown, tuple)
    assert shown[1] > 200 > 100 > shown[0]
    assert abs(shown[3] - 128) < 3


def test_threads_make_thumbnails_at_once() -> None:
    data = saved(drawn("RGB", (600, 400)), "png")
    made: list[tuple[int, int]] = []
    threads = [threading.Thread(target=lambda: made.append(thumbnailed(data).size)) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [(256, 171)] * 12


@pytest.mark.parametrize("name", corpus())
@pytest.mark.filterwarnings("ignore")
def test_no_mutation_is_an_error_of_another_kind(name: str) -> None:
    chance = random.Random(name)
    _, data = corpus()[name]
    for _ in range(40):
        mutant = bytearray(data)
        for _ in range(chance.choice([1, 1, 4, 30])):
            mutant[chance.randrange(12, len(mutant))] = chance.choice([0, 1, 0xFF, chance.randrange(256)])
        file = io.BytesIO(mutant)
        try:
            picture = inspect(file)
        except NotAPicture:
            continue
        thumbnail(file, picture)
