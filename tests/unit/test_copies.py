"""The comparison of a folder with records and with the provider's list finds each kind of disagreement."""

import hashlib
import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from limner.models import ImageFile
from limner.status import Copy
from tests.copies import Comparison, compare

BYTES = b"the bytes of an image"
NAME, THUMBNAIL = "day/j/1.png", "day/j/1.png.thumb.webp"
NONE: frozenset[str] = frozenset()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def copy(path: str = "/files/t1_0.png", *, stored: bool = True, name: str = NAME) -> Copy:
    file = ImageFile(
        url=f"file:///{name}",
        name=name,
        sha256=sha256(BYTES),
        size=len(BYTES),
        content_type="image/png",
        width=1,
        height=1,
        thumbnail=f"file:///{THUMBNAIL}",
    )
    return Copy(number=1, task_id="t1", url=f"http://host{path}?Expires=1", stored=stored, file=file)


def row(path: str = "/files/t1_0.png", data: bytes = BYTES, *others: bytes) -> dict[str, Any]:
    return {"path": path, "sha256": sha256(data), "others": [sha256(other) for other in others]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    image = tmp_path / NAME
    image.parent.mkdir(parents=True)
    image.write_bytes(BYTES)
    small = io.BytesIO()
    Image.new("RGB", (256, 256)).save(small, "WEBP")
    (tmp_path / THUMBNAIL).write_bytes(small.getvalue())
    staged = tmp_path / ".limner" / "staged"
    staged.mkdir(parents=True)
    (staged / "left").write_bytes(b"by a killed worker")
    return tmp_path


def test_agreement_is_empty(folder: Path) -> None:
    assert not list(compare(folder, [copy()], [row()]))
    assert not list(compare(folder, [copy()], [row("/files/t1_0.png", b"other bytes", BYTES)]))


@pytest.mark.parametrize(
    ("copies", "rows", "expected"),
    [
        ([], [], {"foreign": {NAME, THUMBNAIL}}),
        ([copy(stored=False)], [row()], {"missing": {"/files/t1_0.png"}, "foreign": {NAME, THUMBNAIL}}),
        ([copy()], [row(), row("/files/t1_1.png")], {"missing": {"/files/t1_1.png"}}),
        ([copy(), copy()], [row()], {"doubled": {"/files/t1_0.png"}, "wrong": {NAME, THUMBNAIL}}),
        ([copy()], [row(data=b"other bytes")], {"wrong": {NAME}}),
        ([copy()], [], {"wrong": {NAME}}),
    ],
)
def test_each_disagreement_of_records_is_found(
    folder: Path, copies: list[Copy], rows: list[dict[str, Any]], expected: dict[str, set[str]]
) -> None:
    assert compare(folder, copies, rows) == Comparison(
        **{kind: frozenset(expected.get(kind, NONE)) for kind in ("missing", "doubled", "wrong", "foreign")}
    )


@pytest.mark.parametrize("name", [NAME, THUMBNAIL])
@pytest.mark.parametrize("left", [None, 7])
def test_an_object_that_is_cut_off_or_gone_is_wrong(folder: Path, name: str, left: int | None) -> None:
    whole = (folder / name).read_bytes()
    (folder / name).unlink()
    if left:
        (folder / name).write_bytes(whole[:left])
    assert list(compare(folder, [copy()], [row()])) == [f"wrong: {name}"]
