"""Fetching results: bounded in bytes and in time, and only what is an image."""

import base64
import io
import time
from dataclasses import dataclass
from typing import Final

import httpx
from PIL import Image

__all__ = ["Picture", "PictureError", "fetch"]

MAX_BYTES: Final = 12_000_000
SECONDS: Final = 20.0
_TYPES: Final = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}


class PictureError(Exception):
    """A result could not be fetched; the message says why."""


@dataclass(frozen=True)
class Picture:
    """An image file; sizes are in pixels."""

    data: bytes
    media_type: str
    width: int
    height: int

    @property
    def data_uri(self) -> str:
        return f"data:{self.media_type};base64,{base64.b64encode(self.data).decode()}"


def fetch(client: httpx.Client, url: str) -> Picture:
    """The image behind a result URL. Raises :class:`PictureError`."""
    try:
        return _picture(_bytes(client, url))
    except httpx.HTTPError as error:
        raise PictureError(f"{type(error).__name__}: {error}") from None


def _bytes(client: httpx.Client, url: str) -> bytes:
    deadline = time.monotonic() + SECONDS
    body = bytearray()
    with client.stream("GET", url, timeout=5) as response:
        if response.status_code != httpx.codes.OK:
            raise PictureError(f"the server answered {response.status_code}")
        for part in response.iter_bytes():
            body += part
            if len(body) > MAX_BYTES or time.monotonic() > deadline:
                raise PictureError(f"more than {MAX_BYTES:,} bytes, or {SECONDS:.0f} s")
    return bytes(body)


def _picture(data: bytes) -> Picture:
    try:
        with Image.open(io.BytesIO(data), formats=list(_TYPES)) as image:
            return Picture(data, _TYPES[str(image.format)], *image.size)
    except (OSError, Image.DecompressionBombError):
        raise PictureError("it is not a PNG, JPEG or WebP image") from None
