import io
import time

import pytest
from PIL import Image

from sandbox.kie.tasks.images import Picture, draw
from sandbox.kie.tasks.orders import PIXELS


@pytest.mark.parametrize("size", PIXELS)
def test_an_image_has_the_requested_size(size: str) -> None:
    image = Image.open(io.BytesIO(draw(Picture("a red kite", image_size=size))))
    assert (image.format, image.size) == ("PNG", PIXELS[size])


def test_the_bytes_depend_on_the_seed_and_the_number() -> None:
    first = draw(Picture("kite", image_size="square", seed=1))
    assert draw(Picture("kite", image_size="square", seed=1)) == first
    assert draw(Picture("kite", image_size="square", seed=2)) != first
    assert draw(Picture("kite", image_size="square", seed=1, number=2, of=2)) != first


def test_another_prompt_gives_another_picture() -> None:
    assert draw(Picture("kite", image_size="square")) != draw(Picture("kit", image_size="square"))


@pytest.mark.parametrize(
    "prompt",
    ["x" * 5000, "湖" * 5000, "words " * 800, "\ud800 \x00 \n\t", "😀" * 40, "Grüße"],
    ids=["one word", "no spaces", "long", "unprintable", "emoji", "accents"],
)
def test_any_prompt_can_be_drawn(prompt: str) -> None:
    began = time.perf_counter()
    assert Image.open(io.BytesIO(draw(Picture(prompt, image_size="portrait_16_9")))).size == (576, 1024)
    assert time.perf_counter() - began < 10
