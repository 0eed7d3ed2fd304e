from decimal import Decimal

import pytest

from limner.models import RenderingSpeed, TextToImage
from provider import price


@pytest.mark.parametrize(
    ("speed", "images", "credits"),
    [("TURBO", 1, "3.5"), ("TURBO", 3, "10.5"), ("BALANCED", 1, "7"), ("QUALITY", 4, "40")],
)
def test_a_price_is_per_image_and_rendering_speed(
    speed: RenderingSpeed,
    images: int,
    credits: str,  # noqa: A002 - the field's name
) -> None:
    assert price(TextToImage(prompt="a", rendering_speed=speed, num_images=images)) == Decimal(credits)
