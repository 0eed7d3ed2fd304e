"""The pictures of results: copies on this machine, or files of the provider."""

import base64
import io
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import httpx
from PIL import Image

from limner import ImageFile

__all__ = ["Picture", "PictureError", "fetch", "path_of", "thumbnail_of"]

MAX_BYTES: Final = 12_000_000
SECONDS: Final = 20.0
_TYPES: Final = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}


class PictureError(Exception):
    """A result could not be fetched or read; the message says why."""


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


def path_of(url: str) -> Path:
    """The path of a copy on this machine."""
    return Path(unquote(urlsplit(url).path))


def thumbnail_of(file: ImageFile) -> Picture:
    """The thumbnail of a copy, or the copy itself if it has none. Raises :class:`PictureError`."""
    path = path_of(file.thumbnail or file.url)
    try:
        return _picture(path.read_bytes())
    except OSError as error:
        raise PictureError(f"{path} cannot be read: {error.strerror}") from None


def fetch(client: httpx.Client, url: str) -> Picture:
    """The image behind a provider's URL, bounded in bytes and in time. Raises :class:`PictureError`."""
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
