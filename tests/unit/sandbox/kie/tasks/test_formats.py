"""The formats of result files, and files that differ in a comment."""

import io

import pytest
from PIL import Image

from sandbox.kie.tasks.formats import FORMATS, noise, stamped


def pixels(file: bytes) -> bytes:
    """The decoded pixels; raises an error for a file that is not whole."""
    with Image.open(io.BytesIO(file)) as image:
        return image.convert("RGB").tobytes()


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_stamp_changes_the_bytes_and_not_the_image(file_format: str) -> None:
    file = noise(64, file_format)
    files = [stamped(file, file_format, text) for text in ("a", "ab", "b" * 255)]
    assert len({file, *files}) == 4
    assert {pixels(each) for each in files} == {pixels(file)}


@pytest.mark.parametrize(("file_format", "media_type"), FORMATS.items())
def test_a_stamped_file_is_what_its_media_type_says(file_format: str, media_type: str) -> None:
    with Image.open(io.BytesIO(stamped(noise(64, file_format), file_format, "a"))) as image:
        assert (image.get_format_mimetype(), image.size) == (media_type, (64, 64))


@pytest.mark.parametrize(("file_format", "where"), [("png", "Comment"), ("jpeg", "comment")])
def test_a_stamp_is_a_comment_that_readers_see(file_format: str, where: str) -> None:
    with Image.open(io.BytesIO(stamped(noise(64, file_format), file_format, "a kite"))) as image:
        assert image.info[where] in ("a kite", b"a kite")
