"""The deletion of old copies, which touches only what a worker has listed."""

import hashlib
import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from limner.pruning import Pruned, prune

TODAY = date(2026, 11, 28)
OLD = TODAY - timedelta(days=40)
IMAGE = b"an image"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    return folder


def put(root: Path, name: str, content: bytes = IMAGE, *, day: date = OLD) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    aged(path, day)
    listed(root, f"{hashlib.sha256(content).hexdigest()} {len(content)} {name}\n", day=day)
    return path


def aged(path: Path, day: date) -> None:
    then = datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp()
    os.utime(path, (then, then))


def listed(root: Path, line: str, *, day: date = OLD) -> None:
    lists = root / ".limner" / "written"
    lists.mkdir(parents=True, exist_ok=True)
    with (lists / day.isoformat()).open("a") as file:
        file.write(line)


def lists(root: Path) -> list[str]:
    return [path.name for path in (root / ".limner" / "written").iterdir()]


def test_old_files_go_with_their_empty_folders_and_their_list(root: Path) -> None:
    put(root, "2026/10/19/a/1.png")
    put(root, "2026/10/19/a/1.png.thumb.webp", b"small")
    assert prune(root, 30, TODAY) == Pruned(files=2, size=len(IMAGE) + 5)
    assert not (root / "2026").exists()
    assert lists(root) == []
    assert prune(root, 30, TODAY) == Pruned()


@pytest.mark.parametrize(("age", "deleted"), [(29, 0), (30, 0), (31, 1)])
def test_a_file_stays_for_as_many_days(root: Path, age: int, deleted: int) -> None:
    path = put(root, "a/1.png", day=TODAY - timedelta(days=age))
    assert prune(root, 30, TODAY).files == deleted
    assert path.exists() == (not deleted)


def test_what_is_not_listed_stays(root: Path) -> None:
    put(root, "a/1.png")
    other = root / "a" / "2.png"
    other.write_bytes(IMAGE)
    aged(other, OLD)
    assert prune(root, 30, TODAY).files == 1
    assert other.exists()


def test_a_file_that_was_changed_stays(root: Path) -> None:
    longer, other = put(root, "a/1.png"), put(root, "a/2.png")
    longer.write_bytes(IMAGE + b"!")
    other.write_bytes(IMAGE.upper())
    aged(longer, OLD)
    aged(other, OLD)
    assert prune(root, 30, TODAY) == Pruned(changed=2)
    assert (longer.exists(), other.exists()) == (True, True)


def test_a_file_that_was_written_again_lately_stays(root: Path) -> None:
    path = put(root, "a/1.png")
    put(root, "a/1.png", day=TODAY)
    assert prune(root, 30, TODAY) == Pruned()
    assert path.exists()
    assert prune(root, 30, TODAY + timedelta(days=31)).files == 1
    assert lists(root) == []


def test_a_file_that_was_written_after_the_midnight_of_its_list_is_not_forgotten(root: Path) -> None:
    path = put(root, "a/1.png")
    aged(path, OLD + timedelta(days=1))
    assert prune(root, 39, TODAY) == Pruned()
    assert prune(root, 38, TODAY).files == 1


def test_a_file_that_is_gone_is_forgotten(root: Path) -> None:
    put(root, "a/1.png").unlink()
    put(root, "b/1.png")
    assert prune(root, 30, TODAY) == Pruned(files=1, size=len(IMAGE))


def test_no_link_leads_out_of_the_folder(root: Path, tmp_path: Path) -> None:
    outside = put(tmp_path / "other", "1.png")
    listed(root, f"{hashlib.sha256(IMAGE).hexdigest()} {len(IMAGE)} a/1.png\n")
    listed(root, f"{hashlib.sha256(IMAGE).hexdigest()} {len(IMAGE)} 1.png\n")
    (root / "a").symlink_to(outside.parent)
    (root / "1.png").symlink_to(outside)
    assert prune(root, 30, TODAY) == Pruned(changed=2)
    assert outside.exists()


def test_the_folder_itself_may_be_a_link(root: Path, tmp_path: Path) -> None:
    put(root, "a/1.png")
    (tmp_path / "link").symlink_to(root)
    assert prune(tmp_path / "link", 30, TODAY).files == 1
    assert root.exists()


@pytest.mark.parametrize("name", ["../other/1.png", "/etc/passwd", "a//1.png", "./b/1.png", "a b", ""])
def test_a_name_that_no_worker_wrote_is_passed_over(root: Path, tmp_path: Path, name: str) -> None:
    outside = put(tmp_path / "other", "1.png")
    listed(root, f"{hashlib.sha256(IMAGE).hexdigest()} {len(IMAGE)} {name}\n")
    kept = root / "b" / "1.png"
    kept.parent.mkdir()
    kept.write_bytes(IMAGE)
    aged(kept, OLD)
    assert prune(root, 30, TODAY) == Pruned()
    assert (outside.exists(), kept.exists()) == (True, True)


def test_a_torn_line_is_passed_over(root: Path) -> None:
    put(root, "a/1.png")
    listed(root, "\n\xff\x00 1\n")
    put(root, "b/1.png")
    listed(root, hashlib.sha256(IMAGE).hexdigest()[:20])
    put(root, "c/1.png")
    listed(root, f"{hashlib.sha256(IMAGE).hexdigest()} {len(IMAGE)} d/")
    assert prune(root, 30, TODAY).files == 3


def test_a_file_that_cannot_be_read_is_tried_again(root: Path) -> None:
    # No file system has such a name, not even for root.
    listed(root, f"{hashlib.sha256(IMAGE).hexdigest()} {len(IMAGE)} {'a' * 300}/1.png\n")
    put(root, "b/1.png")
    assert prune(root, 30, TODAY) == Pruned(files=1, size=len(IMAGE), failed=1)
    assert lists(root) == [OLD.isoformat()]


def test_a_folder_without_lists_has_nothing_to_prune(root: Path) -> None:
    assert prune(root, 0, TODAY) == Pruned()
    listed(root, "", day=OLD)
    (root / ".limner" / "written" / "notes.txt").write_text("mine")
    assert prune(root, 0, TODAY) == Pruned()
    assert lists(root) == ["notes.txt"]


def test_days_are_not_negative(root: Path) -> None:
    with pytest.raises(ValueError, match="days"):
        prune(root, -1, TODAY)
