"""The demo's requests, and how each should end."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from limner import JobFailed, TextToImage
from limner.errors import ModerationRefused

__all__ = ["PAID", "PLAYED", "REFUSED", "VIA_CELERY", "Order", "Source"]


class Source(StrEnum):
    """The kind of producer that submits a job."""

    LIMNER = "limner"
    CELERY = "celery"
    BEAT = "beat"


@dataclass(frozen=True)
class Order:
    """A request, and how its job should end: in images, or in that error."""

    request: TextToImage
    source: Source = Source.LIMNER
    error: type[JobFailed] | None = None


REFUSED: Final = Order(
    TextToImage(prompt="A portrait of somebody who did not agree to it [fault:task_fail=moderation]"),
    error=ModerationRefused,
)
"""The order whose task the stand-in fails for moderation, as the marker in its prompt asks."""

VIA_CELERY: Final = Order(
    TextToImage(
        prompt="A heron in morning mist, one unbroken brush line",
        image_size="portrait_4_3",
        rendering_speed="TURBO",
    ),
    source=Source.CELERY,
)
"""The order of a program that has Celery and not Limner."""

PLAYED: Final = [
    Order(request)
    for request in (
        TextToImage(
            prompt="A lighthouse keeper reading to a storm, gouache on rough paper",
            image_size="landscape_16_9",
            rendering_speed="QUALITY",
            style="GENERAL",
        ),
        TextToImage(
            prompt="A red kite over a salt flat, seen from far above",
            image_size="square_hd",
            rendering_speed="TURBO",
            style="REALISTIC",
        ),
        TextToImage(
            prompt="Four seasons of one cherry tree",
            image_size="portrait_4_3",
            rendering_speed="BALANCED",
            num_images=4,
        ),
        TextToImage(
            prompt="Travel poster for a town on the moon, lettered LUNA PARK",
            image_size="portrait_16_9",
            rendering_speed="QUALITY",
            style="DESIGN",
        ),
        TextToImage(
            prompt="A cat asleep on a warm printing press",
            negative_prompt="people",
            image_size="square",
            rendering_speed="TURBO",
        ),
        TextToImage(
            prompt="An astronomer's desk at dusk, brass and walnut",
            image_size="landscape_4_3",
            rendering_speed="BALANCED",
            style="REALISTIC",
            seed=1610,
        ),
        TextToImage(
            prompt="A map of an island that is shaped like a violin",
            image_size="landscape_4_3",
            rendering_speed="BALANCED",
            style="DESIGN",
        ),
        TextToImage(
            prompt="Rain on a night market, neon in every puddle",
            image_size="landscape_16_9",
            rendering_speed="TURBO",
            style="REALISTIC",
        ),
        TextToImage(
            prompt="A whale made of paper lanterns, drifting between tall houses",
            image_size="portrait_16_9",
            rendering_speed="BALANCED",
            style="GENERAL",
        ),
        TextToImage(
            prompt="The letter L as an illuminated initial, with foxes in its vines",
            image_size="square_hd",
            rendering_speed="BALANCED",
            style="DESIGN",
            expand_prompt=False,
        ),
    )
]

PAID: Final = [
    Order(TextToImage(prompt=prompt, image_size="square", rendering_speed="TURBO"))
    for prompt in (
        "A red kite over a salt flat, seen from far above",
        "A cat asleep on a warm printing press",
        "A whale made of paper lanterns, drifting between tall houses",
    )
]
"""The orders for the real provider: 3.5 credits each."""
