"""The request for images as the provider's JSON (contract 1.1, 5)."""

import hashlib
import json
from typing import Any

from limner.models import MODEL, TextToImage


def create_body(request: TextToImage, callback_url: str | None = None) -> dict[str, Any]:
    """The body of a createTask.

    Defaults are sent explicitly, since newer documentation states none. The number of images is a string, and
    is omitted for one image, since newer documentation does not name the field (contract 5.2).
    """
    given: dict[str, Any] = {
        "prompt": request.prompt,
        "rendering_speed": request.rendering_speed,
        "expand_prompt": request.expand_prompt,
        "image_size": request.image_size,
    }
    if request.style_codes is not None:
        given["style_codes"] = request.style_codes
    else:
        given["style"] = request.style or "AUTO"
    if request.num_images > 1:
        given["num_images"] = str(request.num_images)
    if request.negative_prompt:
        given["negative_prompt"] = request.negative_prompt
    if request.seed is not None:
        given["seed"] = request.seed
    body: dict[str, Any] = {"model": MODEL, "input": given}
    if callback_url is not None:
        body["callBackUrl"] = callback_url
    return body


def encode(body: dict[str, Any]) -> bytes:
    """Compact UTF-8 JSON with sorted keys: equal bodies are equal bytes."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def request_digest(request: TextToImage) -> str:
    """The SHA-256, in hex, of the body without the callback URL, which differs between attempts."""
    return hashlib.sha256(encode(create_body(request))).hexdigest()
