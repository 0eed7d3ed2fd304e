"""The files of a task's images."""

import functools
import hashlib
from typing import Final, NamedTuple

from sandbox.kie.faults.faults import Fault
from sandbox.kie.faults.variants import variant_of
from sandbox.kie.options import FileSize
from sandbox.kie.tasks.formats import FORMATS, noise, stamped
from sandbox.kie.tasks.images import Picture, draw
from sandbox.kie.tasks.ledger import KieTask

__all__ = ["ResultFile", "file_path", "picture_of", "result_file"]

_PIXELS: Final = {FileSize.SMALL: 64, FileSize.LARGE: 592}


class ResultFile(NamedTuple):
    """A file: its bytes, their SHA-256 in hex, and their media type."""

    data: bytes
    sha256: str
    media_type: str


def file_path(task_id: str, index: int) -> str:
    """The path of a result's URL. Its ending says nothing about the format, as that of the provider's."""
    return f"/files/{task_id}_{index}.png"


def picture_of(task: KieTask, index: int, turn: int = 0) -> Picture:
    """The task's image with that index. Another ``turn`` gives other bytes."""
    rule = task.fate.get(Fault.IMAGE_FORMAT)
    return Picture(
        prompt=task.input["prompt"],
        image_size=task.input.get("image_size") or "square_hd",
        rendering_speed=task.input.get("rendering_speed") or "BALANCED",
        style=task.input.get("style") or "AUTO",
        seed=task.input.get("seed"),
        number=index + 1,
        of=task.images,
        file_format=variant_of(Fault.IMAGE_FORMAT, rule.variant) if rule else "png",
        turn=turn,
    )


# A page that shows a result fetches it more than once; 32 drawn images are about 2 MB, 32 large ones 32 MB.
@functools.lru_cache(maxsize=32)
def result_file(path: str, picture: Picture, size: FileSize) -> ResultFile:
    """The file of a picture. Of small and large files, no two paths have the same bytes."""
    if size == FileSize.REAL:  # a program may give the word
        data = draw(picture)
    else:
        plain = noise(_PIXELS[size], picture.file_format)
        data = stamped(plain, picture.file_format, f"{path} turn {picture.turn}")
    return ResultFile(data, hashlib.sha256(data).hexdigest(), FORMATS[picture.file_format])
