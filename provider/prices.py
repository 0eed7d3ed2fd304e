"""The expected cost of a request.

The provider changes prices without notice (contract 6): ``creditsConsumed`` of a finished task is
authoritative, and this table is for estimates and for tasks that report no cost.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from limner.models import RenderingSpeed, TextToImage


@dataclass(frozen=True, slots=True)
class PriceList:
    """Credits per image by rendering speed, as of a date."""

    as_of: date
    credits_per_image: Mapping[RenderingSpeed, Decimal]


PRICES: Final = PriceList(
    as_of=date(2026, 3, 1),
    credits_per_image=MappingProxyType(
        {"TURBO": Decimal("3.5"), "BALANCED": Decimal(7), "QUALITY": Decimal(10)}
    ),
)


def price(request: TextToImage, prices: PriceList = PRICES) -> Decimal:
    """The expected cost of a request in credits, if all its images are delivered."""
    return prices.credits_per_image[request.rendering_speed] * request.num_images
