"""The order in a createTask body, or its refusal by the provider's own checks (contract 1.4, 5.1)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from sandbox.kie.faults.refusals import Refusal

__all__ = ["CREDITS_PER_IMAGE", "MODEL", "PIXELS", "TaskOrder", "read_order"]

MODEL: Final = "ideogram/v3-text-to-image"
MAX_TEXT: Final = 5000

CREDITS_PER_IMAGE: Mapping[str, float] = MappingProxyType({"TURBO": 3.5, "BALANCED": 7.0, "QUALITY": 10.0})

PIXELS: Mapping[str, tuple[int, int]] = MappingProxyType(
    {
        "square": (512, 512),
        "square_hd": (1024, 1024),
        "portrait_4_3": (768, 1024),
        "portrait_16_9": (576, 1024),
        "landscape_4_3": (1024, 768),
        "landscape_16_9": (1024, 576),
    }
)
"""Width and height by image size.

The provider does not document them; these are the presets of the API that its own is modelled on (contract
5.2).
"""

_ENUMS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "rendering_speed": frozenset(CREDITS_PER_IMAGE),
        "style": frozenset({"AUTO", "GENERAL", "REALISTIC", "DESIGN"}),
        "image_size": frozenset(PIXELS),
        "num_images": frozenset("1234"),
    }
)


@dataclass(frozen=True)
class TaskOrder:
    """A valid createTask body. ``input`` is complete and includes ignored fields."""

    model: str
    input: dict[str, Any]
    callback_url: str | None
    rendering_speed: str
    images: int

    @property
    def credits(self) -> float:
        return CREDITS_PER_IMAGE[self.rendering_speed] * self.images


def read_order(body: Any) -> TaskOrder | Refusal:
    """Check a body as the provider does: unknown fields are ignored, enums are case-sensitive."""
    if not isinstance(body, dict):
        return Refusal(422, "The request body is not a JSON object.")
    if body.get("model") != MODEL:
        return Refusal(422, f"The model name you specified is not supported: {body.get('model')}")
    given = body.get("input")
    if not isinstance(given, dict):
        return Refusal(500, "This field is required: input")
    for check in _CHECKS:
        if text := check(given):
            return Refusal(500, text)
    callback = body.get("callBackUrl")
    return TaskOrder(
        model=MODEL,
        input=given,
        callback_url=callback if isinstance(callback, str) and callback else None,
        rendering_speed=given.get("rendering_speed") or "BALANCED",
        images=int(given.get("num_images") or "1"),
    )


def _prompt(given: dict[str, Any]) -> str | None:
    prompt = given.get("prompt")
    return None if isinstance(prompt, str) and prompt.strip() else "This field is required: prompt"


def _lengths(given: dict[str, Any]) -> str | None:
    for name in ("prompt", "negative_prompt"):
        if len(given.get(name) or "") > MAX_TEXT:
            return f"{name}: the text length cannot exceed the maximum limit of {MAX_TEXT}"
    return None


def _enums(given: dict[str, Any]) -> str | None:
    for name, allowed in _ENUMS.items():
        value = given.get(name)
        if value is not None and (not isinstance(value, str) or value not in allowed):
            return f"{name} is not within the range of allowed options"
    return None


def _types(given: dict[str, Any]) -> str | None:
    seed, expand = given.get("seed"), given.get("expand_prompt")
    if seed is not None and (not isinstance(seed, int) or isinstance(seed, bool)):
        return "seed is not within the specified range"
    if expand is not None and not isinstance(expand, bool):
        return "expand_prompt is not within the range of allowed options"
    return None


_CHECKS: tuple[Callable[[dict[str, Any]], str | None], ...] = (_prompt, _lengths, _enums, _types)
