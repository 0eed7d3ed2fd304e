"""Pictures as they come from outside: whole, cut off, disguised and hostile."""

import io
import random
import struct
import zlib

import pytest
from PIL import Image

from tests.unit.worker.copies.corpus import PNG_SIGNATURE, TYPES, chunk, corpus, drawn, png, saved
from worker.copies.formats import FORMATS
from worker.copies.pictures import NotAPicture, Picture, inspect
from worker.copies.structure import MAX_PIXELS
from worker.copies.thumbnails import thumbnail


def reason(data: bytes, declared: str | None = None) -> str:
    with pytest.raises(NotAPicture) as refused:
        inspect(io.BytesIO(data), declared)
    assert len(refused.value.reason) <= 150
    assert refused.value.reason.isascii()
    return refused.value.reason


def test_there_is_a_file_of_each_format() -> None:
    assert {each.ext: each.content_type for each in FORMATS} == TYPES
    assert {ext for ext, _ in corpus().values()} == TYPES.keys()


def test_the_largest_picture_is_accepted() -> None:
    side = int(MAX_PIXELS**0.5)
    assert inspect(io.BytesIO(png(side, side, data=b"any"))).width == side
    assert "pixels" in reason(png(side + 1, side + 1, data=b"any"))


@pytest.mark.parametrize("name", corpus())
def test_a_whole_picture_is_known_by_its_bytes(name: str) -> None:
    ext, data = corpus()[name]
    file = io.BytesIO(data)
    assert inspect(file) == Picture(TYPES[ext], ext, 90, 60)
    assert file.tell() == 0


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
