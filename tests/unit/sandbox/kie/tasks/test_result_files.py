"""The files of a task's images."""

import hashlib
import io
import time

import pytest
from PIL import Image

from sandbox.kie.faults.faults import Fault
from sandbox.kie.faults.rules import Rule
from sandbox.kie.options import FileSize
from sandbox.kie.tasks.result_files import file_path, picture_of, result_file
from tests.unit.sandbox.kie.tasks.test_ledger import task


@pytest.mark.parametrize(
    ("size", "pixels", "least", "most"),
    [
        (FileSize.REAL, 1024, 20_000, 500_000),
        (FileSize.SMALL, 64, 10_000, 15_000),
        (FileSize.LARGE, 592, 10**6, 1.1e6),
    ],
)
def test_a_file_has_the_chosen_size_and_its_own_hash(
    size: FileSize, pixels: int, least: int, most: float
) -> None:
    file = result_file(file_path("t1", 0), picture_of(task(), 0), size)
    assert file.sha256 == hashlib.sha256(file.data).hexdigest()
    assert least < len(file.data) < most
    with Image.open(io.BytesIO(file.data)) as image:
        image.load()
        assert (image.size, image.get_format_mimetype()) == ((pixels, pixels), file.media_type)


@pytest.mark.parametrize("size", FileSize)
def test_the_bytes_of_a_file_depend_on_its_path_its_image_and_its_turn(size: FileSize) -> None:
    files = [
        result_file(file_path(f"t{number}", index), picture_of(task(number), index, turn), size).data
        for number, index, turn in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 0, 0)]
    ]
    assert files[0] == files[-1]
    assert len(set(files)) == 4


@pytest.mark.parametrize("size", FileSize)
@pytest.mark.parametrize("variant", ["jpeg", "webp", "gif"])
def test_a_fate_chooses_the_format(size: FileSize, variant: str) -> None:
    picture = picture_of(task(fate={Fault.IMAGE_FORMAT: Rule(probability=1.0, variant=variant)}), 0)
    file = result_file(file_path("t1", 0), picture, size)
    with Image.open(io.BytesIO(file.data)) as image:
        assert image.get_format_mimetype() == file.media_type == f"image/{variant}"


def test_a_hundred_small_files_cost_less_than_one_that_is_drawn() -> None:
    began = time.process_time()
    result_file(
        file_path("t1", 0), picture_of(task(input={"prompt": "a kite to be measured"}), 0), FileSize.REAL
    )
    drawn = time.process_time()
    for number in range(100):
        result_file(file_path(f"measured{number}", 0), picture_of(task(), 0), FileSize.SMALL)
    assert time.process_time() - drawn < drawn - began
