"""The pictures of the demo's contact sheet, from copies on a disk."""

from pathlib import Path
from urllib.parse import quote

import pytest
from PIL import Image

from examples.demo.pictures import PictureError, path_of, thumbnail_of
from limner import ImageFile


def copied(folder: Path, *, thumbnail: bool) -> ImageFile:
    """A copy in a folder, under the URLs that a worker gives it."""
    Image.new("RGB", (64, 32)).save(folder / "1.png")
    Image.new("RGB", (16, 8)).save(folder / "1.png.thumb.webp")
    url = f"file://{quote(str(folder))}/1.png"
    return ImageFile(
        url=url,
        name="1.png",
        sha256="0" * 64,
        size=(folder / "1.png").stat().st_size,
        content_type="image/png",
        width=64,
        height=32,
        thumbnail=f"{url}.thumb.webp" if thumbnail else None,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder whose name is not the same in a URL."""
    folder = tmp_path / "my images äß"
    folder.mkdir()
    return folder


@pytest.mark.parametrize(
    ("thumbnail", "media_type", "width"), [(True, "image/webp", 16), (False, "image/png", 64)]
)
def test_a_copy_is_shown_by_its_thumbnail_if_it_has_one(
    folder: Path, thumbnail: bool, media_type: str, width: int
) -> None:
    picture = thumbnail_of(copied(folder, thumbnail=thumbnail))
    assert (picture.media_type, picture.width) == (media_type, width)
    assert picture.data_uri.startswith(f"data:{media_type};base64,")


def test_a_copy_that_is_gone_is_named(folder: Path) -> None:
    file = copied(folder, thumbnail=True)
    assert file.thumbnail
    path_of(file.thumbnail).unlink()
    with pytest.raises(PictureError, match=r"1\.png\.thumb\.webp cannot be read: No such file"):
        thumbnail_of(file)


def test_a_copy_that_is_no_image_any_more_is_not_shown(folder: Path) -> None:
    file = copied(folder, thumbnail=False)
    path_of(file.url).write_text("<html>")
    with pytest.raises(PictureError, match="not a PNG"):
        thumbnail_of(file)
