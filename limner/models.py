"""The request, and the images that it leads to.

The parameters are those of kie.ai's page for ``ideogram/v3-text-to-image``. The provider silently ignores
an unknown field or a misspelt value and bills the task all the same, so everything is checked here, before
anything is stored or sent.
"""

import os
from collections.abc import Collection
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, ValidationError, model_validator

from limner.progress import Progress

MODEL: Final = "ideogram/v3-text-to-image"
MAX_PROMPT_LENGTH: Final = 5000
MAX_SEED: Final = 2**31 - 1
MAX_FAULTS: Final = 10
MAX_NAME_LENGTH: Final = 64
"""Of names, in characters."""

RenderingSpeed = Literal["TURBO", "BALANCED", "QUALITY"]
Style = Literal["AUTO", "GENERAL", "REALISTIC", "DESIGN"]
ImageSize = Literal["square", "square_hd", "portrait_4_3", "portrait_16_9", "landscape_4_3", "landscape_16_9"]


def _at_most_5000_utf16_units(text: str) -> str:
    try:
        encoded = text.encode("utf-16-le")
    except UnicodeEncodeError:
        raise ValueError("has half a character (a lone surrogate)") from None
    # The documentation says "characters" and not which; UTF-16 units are the stricter count.
    if (units := len(encoded) // 2) > MAX_PROMPT_LENGTH:
        raise ValueError(
            f"at most {MAX_PROMPT_LENGTH} UTF-16 units, this text has {units} "
            "(an emoji counts as two or more)"
        )
    return text


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be blank")
    return text


_Text = Annotated[str, AfterValidator(_at_most_5000_utf16_units)]
_StyleCode = Annotated[str, Field(pattern=r"^[0-9A-Fa-f]{8}$")]


class TextToImage(BaseModel, strict=True, extra="forbid", frozen=True):
    """A request for images. Raises :class:`pydantic.ValidationError`, which names the field, on bad input."""

    prompt: Annotated[_Text, AfterValidator(_not_blank)]
    """The text to draw: 1 to 5000 UTF-16 units."""
    negative_prompt: _Text | None = None
    """The things to leave out; the prompt has precedence over it."""
    rendering_speed: RenderingSpeed = "BALANCED"
    style: Style | None = None
    """None is AUTO. Cannot be used together with ``style_codes``."""
    style_codes: Annotated[list[_StyleCode], Field(min_length=1, max_length=16)] | None = None
    """Ideogram's style codes, eight hexadecimal digits each. kie.ai names the parameter without describing
    it, and may ignore it."""
    expand_prompt: bool = True
    """Let the provider rewrite the prompt (MagicPrompt)."""
    image_size: ImageSize = "square_hd"
    num_images: Annotated[int, Field(ge=1, le=4)] = 1
    """The number of images to ask for. The provider may deliver fewer: count the URLs."""
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] | None = None

    @model_validator(mode="after")
    def _style_or_codes(self) -> Self:
        if self.style is not None and self.style_codes is not None:
            raise ValueError("style: cannot be used together with style_codes")
        return self


def faults(error: ValidationError) -> list[str]:
    """The faults, one line each: the field's name and the reason. Values are left out.

    The lines are bounded in number and length: they become a result, and names come from the producer.
    """
    found = error.errors(include_url=False, include_input=False)
    lines = [
        ": ".join([*map(short_name, fault["loc"]), fault["msg"].removeprefix("Value error, ")])
        for fault in found[:MAX_FAULTS]
    ]
    return [*lines, f"and {len(found) - MAX_FAULTS} more"] if len(found) > MAX_FAULTS else lines


def short_name(name: int | str) -> str:
    """The name of a field in a message, however long and odd it is."""
    text = str(name).encode(errors="backslashreplace").decode()
    return text if len(text) <= MAX_NAME_LENGTH else f"{text[:MAX_NAME_LENGTH]}…"


class ImageFile(BaseModel, extra="ignore", frozen=True):
    """An image in the user's own storage (``LIMNER_COPY_TO``): its address, its hash, and the facts of it."""

    url: str
    """The address for consumers: under ``LIMNER_COPY_URL`` if that is set, else the store's own."""
    name: str
    """The name of the object in the storage, without the prefix of ``LIMNER_COPY_TO``."""
    sha256: str
    """The SHA-256 of the bytes, in hexadecimal."""
    size: int
    """In bytes."""
    content_type: str
    """As the bytes themselves say, for example ``image/png``."""
    width: int
    """In pixels."""
    height: int
    """In pixels."""
    thumbnail: str | None = None
    """The address of the thumbnail, a WebP of at most 256 pixels a side; None if there is none."""


class Images(BaseModel, extra="ignore", frozen=True):
    """The result of a job. ``AsyncResult(job_id).get()`` returns the same as a plain dict."""

    job_id: str
    urls: list[str]
    """The provider's addresses of the images, which die within days; :attr:`files` and :meth:`save` last."""
    task_id: str
    """The provider's id of the task."""
    model: str = MODEL
    seed: int | None = None
    """The seed that was asked for, if any."""
    parameters: TextToImage
    credits: Decimal | None = None
    """The cost of the task in the provider's words; None if it names none."""
    metadata: dict[str, Any] = {}
    """The producer's own data."""
    created_at: datetime
    sent_at: datetime
    """The time at which the job's last attempt was sent."""
    finished_at: datetime
    files: list[ImageFile] = []
    """The copies of the images in the user's own storage, in the order of the images; empty if none were
    made, or none yet."""
    copied: bool = False
    """True if every image is in the user's own storage."""

    def save(
        self,
        folder: str | os.PathLike[str],
        *,
        overwrite: bool = False,
        progress: Progress | Literal[False] | None = None,
        plain_hosts: Collection[str] = (),
    ) -> list[Path]:
        """Save the images into a folder, which is made if there is none; returns the files, one an image.

        A file is named after the job and the image's number, ``JOB_ID-1.png``, and is there whole or not at
        all. The bytes come from :attr:`files` if every image has one, and are then checked against its
        hash; else, or if that fails, from the provider's links. If the same bytes lie there already, they
        stay, and so do others, unless ``overwrite`` is true. A symbolic link there is never followed.

        While it works, a terminal shows a bar on standard error if rich is installed (the extra ``cli``).
        ``progress`` is called instead with the bytes that have come and the bytes in all, None while
        unknown; with False, nothing is shown. Hosts of ``plain_hosts`` and ``LIMNER_COPY_PLAIN_HOSTS`` may
        speak http and have private addresses.

        Raises :class:`~limner.errors.ImagesNotSaved`, after the other images were saved, and
        :class:`~limner.errors.ConfigurationError` for a setting ``LIMNER_COPY_…`` that is wrong.
        """
        # A backend that saves nothing need not load TLS and HTTP.
        from limner.saving import save

        return save(self, folder, overwrite=overwrite, progress=progress, plain_hosts=plain_hosts)

    async def asave(
        self,
        folder: str | os.PathLike[str],
        *,
        overwrite: bool = False,
        progress: Progress | Literal[False] | None = None,
        plain_hosts: Collection[str] = (),
    ) -> list[Path]:
        """:meth:`save` for asynchronous code: threads fetch and write, ``progress`` is called by the loop.

        If it is cancelled, the threads stop at the next piece, and no part of an image stays.
        """
        from limner.saving import asave

        return await asave(self, folder, overwrite=overwrite, progress=progress, plain_hosts=plain_hosts)
