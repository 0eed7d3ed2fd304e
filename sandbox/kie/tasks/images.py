"""The pictures: the prompt on a coloured background, so that a person can match result and request."""

import colorsys
import contextlib
import functools
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, cast

from PIL import Image, ImageDraw, ImageFont

from sandbox.kie.tasks.formats import encoded_image
from sandbox.kie.tasks.orders import PIXELS

__all__ = ["Picture", "draw"]

MARGIN: Final = 0.08
"""The empty border, as a share of the shorter side."""
LINE_HEIGHT: Final = 1.25
SMALLEST_TEXT: Final = 13

# Pillow's own font covers little more than ASCII. Other scripts need one of these fonts on the system.
WIDER_FONTS: Final = (
    "NotoSansCJK-Regular.ttc",
    "PingFang.ttc",
    "Hiragino Sans GB.ttc",
    "wqy-zenhei.ttc",
    "Arial Unicode.ttf",
    "NotoSans-Regular.ttf",
    "DejaVuSans.ttf",
    "LiberationSans-Regular.ttf",
)

Measure = Callable[[str], float]
FontOfSize = Callable[[int], ImageFont.FreeTypeFont]


@dataclass(frozen=True)
class Picture:
    """The parameters of a picture: equal parameters give equal bytes."""

    prompt: str
    image_size: str = "square_hd"
    rendering_speed: str = "BALANCED"
    style: str = "AUTO"
    seed: int | None = None
    number: int = 1
    """The number of the image among ``of``, from 1."""
    of: int = 1
    file_format: str = "png"
    """One of :data:`sandbox.kie.tasks.formats.FORMATS`."""
    turn: int = 0
    """Another number gives other bytes."""

    @property
    def caption(self) -> str:
        seed = "" if self.seed is None else f" · seed {self.seed}"
        return (
            f"limner sandbox · ideogram/v3 · {self.rendering_speed} · {self.style} · {self.image_size}{seed}"
            f" · {self.number} of {self.of}"
        )


def draw(picture: Picture) -> bytes:
    """A file of the picture's size and format. Raises :class:`KeyError` for an unknown ``image_size``."""
    width, height = PIXELS[picture.image_size]
    prompt = picture.prompt.encode("utf-8", "replace").decode()  # a lone surrogate cannot be drawn
    turn = f"|{picture.turn}" if picture.turn else ""
    key = hashlib.sha256(f"{prompt}|{picture.seed}|{picture.number}{turn}".encode()).digest()
    image = _ground(width, height, key)
    canvas = ImageDraw.Draw(image, "RGBA")
    _shapes(canvas, width, height, key)
    _words(canvas, width, height, prompt)
    _caption(canvas, width, height, picture.caption)
    return encoded_image(image, picture.file_format)


def _ground(width: int, height: int, key: bytes) -> Image.Image:
    hue = key[0] / 256
    top, bottom = _colour(hue, 0.45, 0.55), _colour(hue + 0.08 + key[1] / 2000, 0.6, 0.32)
    shade = Image.linear_gradient("L").resize((width, height))
    return Image.composite(
        Image.new("RGB", (width, height), bottom), Image.new("RGB", (width, height), top), shade
    )


def _shapes(canvas: ImageDraw.ImageDraw, width: int, height: int, key: bytes) -> None:
    for x, y, radius, hue in zip(key[2:9], key[9:16], key[16:23], key[23:30], strict=True):
        centre_x, centre_y = x / 255 * width, y / 255 * height
        size = (0.1 + radius / 255 * 0.25) * min(width, height)
        box = (centre_x - size, centre_y - size, centre_x + size, centre_y + size)
        canvas.ellipse(box, fill=(*_colour(key[0] / 256 + (hue - 128) / 1200, 0.5, 0.75), 46))


def _words(canvas: ImageDraw.ImageDraw, width: int, height: int, prompt: str) -> None:
    border = MARGIN * min(width, height)
    room_x, room_y = width - 2 * border, height - 3 * border
    font = _own_font if prompt.isascii() else _wider_font
    size, lines = _fitted(prompt, font, room_x, room_y, largest=min(width, height) // 7)
    top = border + (room_y - len(lines) * size * LINE_HEIGHT) / 2
    for number, line in enumerate(lines):
        at = (width / 2, top + (number + 0.5) * size * LINE_HEIGHT)
        canvas.text((at[0] + 2, at[1] + 2), line, font=font(size), fill=(0, 0, 0, 110), anchor="mm")
        canvas.text(at, line, font=font(size), fill=(255, 255, 255, 255), anchor="mm")


def _caption(canvas: ImageDraw.ImageDraw, width: int, height: int, caption: str) -> None:
    size = max(10, width // 55)
    while size > 8 and _own_font(size).getlength(caption) > width * 0.96:
        size -= 1
    band = size * 2.2
    canvas.rectangle((0, height - band, width, height), fill=(0, 0, 0, 110))
    at = (width / 2, height - band / 2)
    canvas.text(at, caption, font=_own_font(size), fill=(255, 255, 255, 230), anchor="mm")


def _fitted(text: str, font: FontOfSize, room_x: float, room_y: float, largest: int) -> tuple[int, list[str]]:
    size = largest
    while True:
        lines = _wrapped(text, room_x, functools.cache(font(size).getlength))
        fits = int(room_y / (size * LINE_HEIGHT))
        if len(lines) <= fits:
            return size, lines
        if size <= SMALLEST_TEXT:
            return size, [*lines[: fits - 1], lines[fits - 1][:-1] + "…"]
        size = max(SMALLEST_TEXT, int(size * 0.9))


def _wrapped(text: str, room: float, measure: Measure) -> list[str]:
    lines = [""]
    for word in text.split():
        for piece in _pieces(word, room, measure):
            longer = f"{lines[-1]} {piece}".strip()
            if measure(longer) <= room:
                lines[-1] = longer
            else:
                lines.append(piece)
    return [line for line in lines if line]


def _pieces(word: str, room: float, measure: Measure) -> list[str]:
    # Chinese and Japanese have no spaces, and some prompts are one long address.
    if measure(word) <= room:
        return [word]
    pieces, used = [""], 0.0
    for character in word:
        width = measure(character)
        if used + width > room and pieces[-1]:
            pieces.append("")
            used = 0.0
        pieces[-1] += character
        used += width
    return pieces


@functools.cache
def _own_font(size: int) -> ImageFont.FreeTypeFont:
    return cast("ImageFont.FreeTypeFont", ImageFont.load_default(size=size))


@functools.cache
def _wider_font(size: int) -> ImageFont.FreeTypeFont:
    for name in WIDER_FONTS:
        with contextlib.suppress(OSError):
            return ImageFont.truetype(name, size)
    return _own_font(size)


def _colour(hue: float, saturation: float, value: float) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, saturation, value)
    return int(red * 255), int(green * 255), int(blue * 255)
