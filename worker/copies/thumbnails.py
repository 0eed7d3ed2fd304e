"""Makes the thumbnails of pictures."""

import io
import logging
from typing import BinaryIO, Final

from PIL import Image, ImageCms, ImageOps
from PIL.ImageFile import ImageFile

from worker.copies.formats import DECODERS, FORMATS, Format
from worker.copies.pictures import Picture

logger = logging.getLogger(__name__)

MAX_THUMBNAIL_PIXELS: Final = 20_000_000
"""The largest picture that gets a thumbnail, in pixels; the provider's 4K images have 17 million.

Pillow cannot be interrupted, so this bounds the time as well: at 20 million pixels the slowest file measured,
a PNG with alpha, took 1.4 s of CPU; a PNG of 1024 x 1024 takes 0.07 s."""
THUMBNAIL_SIDE: Final = 256
_MAX_PROFILE: Final = 2_000_000


def thumbnail(file: BinaryIO, picture: Picture) -> bytes | None:
    """A WebP of at most 256 x 256 pixels, upright, in sRGB, without metadata; of the first frame.

    None if the picture is too large for one, or if Pillow cannot decode it, which is logged. The position of
    the file is 0 afterwards.
    """
    pixels = picture.width * picture.height
    if pixels > MAX_THUMBNAIL_PIXELS:
        logger.info("no thumbnail: the picture has %d x %d pixels", picture.width, picture.height)
        return None
    try:
        kind = next(kind for kind in FORMATS if kind.ext == picture.ext)
        return DECODERS.submit(_encoded, kind, file).result()
    except Exception as error:
        logger.info("no thumbnail: %s cannot be decoded (%s)", picture.content_type, type(error).__name__)
        return None
    finally:
        file.seek(0)


def _encoded(kind: Format, file: BinaryIO) -> bytes:
    file.seek(0)
    with kind.opened(file) as image:
        if image.width * image.height > MAX_THUMBNAIL_PIXELS:
            raise ValueError("the file is another one")
        small = _small(image)
    out = io.BytesIO()
    small.save(out, "WEBP", quality=80, method=1)  # half the time of method 4, same size
    return out.getvalue()


def _small(image: ImageFile) -> Image.Image:
    profile = image.info.get("icc_profile")
    box = (THUMBNAIL_SIDE, THUMBNAIL_SIDE)
    small: Image.Image = image
    if image.mode.startswith("I;16"):
        small = image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    elif image.mode in {"1", "P", "PA"} or "transparency" in image.info:
        small = image.convert("RGBA" if image.has_transparency_data else "RGB")
    # It decodes a JPEG at an eighth of its size where that is enough.
    small.thumbnail(box, Image.Resampling.LANCZOS, reducing_gap=2.0)
    small = ImageOps.exif_transpose(small)
    small = _in_srgb(small, profile)
    small.info = {}
    return small


def _in_srgb(image: Image.Image, profile: object) -> Image.Image:
    alpha = image.getchannel("A") if image.mode in {"RGBA", "LA"} else None
    # A grey picture keeps its own values: a profile of RGB does not fit it.
    if (
        isinstance(profile, bytes)
        and 0 < len(profile) <= _MAX_PROFILE
        and image.mode in {"RGB", "RGBA", "CMYK"}
    ):
        colours = image.convert("RGB") if alpha else image
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(
                colours, source, ImageCms.createProfile("sRGB"), outputMode="RGB"
            )
        except (ImageCms.PyCMSError, OSError):
            converted = None  # browsers, too, show a picture whose profile is broken
        image = converted or colours
    image = image.convert("RGB")
    if alpha:
        image.putalpha(alpha)
    return image
