import io
import logging
import threading
import zlib

import pytest
from PIL import Image, ImageCms

from tests.unit.worker.copies.corpus import TYPES, corpus, drawn, png, saved
from worker.copies.pictures import Picture, inspect
from worker.copies.thumbnails import MAX_THUMBNAIL_PIXELS, thumbnail


def thumbnailed(data: bytes) -> Image.Image:
    file = io.BytesIO(data)
    made = thumbnail(file, inspect(file))
    assert made is not None
    assert file.tell() == 0
    image = Image.open(io.BytesIO(made), formats=["WEBP"])
    image.load()
    return image


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


@pytest.mark.parametrize("name", corpus())
def test_each_picture_has_a_thumbnail(name: str) -> None:
    assert thumbnailed(corpus()[name][1]).size == (90, 60)


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
