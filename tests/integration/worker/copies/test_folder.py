"""The storage in a folder: whole files, listed, and errors that name the setting."""

import hashlib
import io
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path

import pytest

from limner.pruning import prune
from sandbox.processes.children import Child
from tests.conftest import eventually
from tests.repository import ROOT
from worker.copies.faults import StorageError
from worker.copies.folder import Folder

NAME = "2026/11/28/a=2Fb/1.png"
IMAGE = b"an image"
SHA256 = hashlib.sha256(IMAGE).hexdigest()
DAY = datetime(2026, 11, 28, 23, 59, tzinfo=UTC)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "srv" / "my images"


@pytest.fixture
def folder(root: Path) -> Folder:
    return Folder(str(root), now=lambda: DAY)


def put(folder: Folder, name: str = NAME, content: bytes = IMAGE) -> None:
    sha256 = hashlib.sha256(content).hexdigest()
    folder.put(name, io.BytesIO(content), content_type="image/png", size=len(content), sha256=sha256)


def images(root: Path) -> list[str]:
    return sorted(
        path.relative_to(root).as_posix()
        for path in root.rglob("*")
        if path.is_file() and ".limner" not in path.parts
    )


def test_a_file_is_stored_in_folders_that_it_makes(root: Path, folder: Folder) -> None:
    put(folder)
    assert (root / NAME).read_bytes() == IMAGE
    assert folder.size(NAME) == len(IMAGE)
    assert images(root) == [NAME]
    assert list((root / ".limner" / "staged").iterdir()) == []


def test_a_file_has_the_mode_that_the_umask_allows(root: Path, folder: Folder) -> None:
    before = os.umask(0o027)
    try:
        put(folder)
    finally:
        os.umask(before)
    assert stat.S_IMODE((root / NAME).stat().st_mode) == 0o640
    assert stat.S_IMODE((root / NAME).parent.stat().st_mode) == 0o750


def test_a_file_is_read_from_its_beginning(root: Path, folder: Folder, large: Path) -> None:
    with large.open("rb") as file:
        file.seek(17)
        folder.put(NAME, file, content_type="image/png", size=large.stat().st_size, sha256=SHA256)
    assert (root / NAME).read_bytes() == large.read_bytes()


def test_a_second_put_replaces_the_file(root: Path, folder: Folder) -> None:
    put(folder)
    put(folder, content=b"the second")
    assert (root / NAME).read_bytes() == b"the second"
    assert images(root) == [NAME]


def test_a_file_is_deleted_and_may_be_gone_already(folder: Folder) -> None:
    put(folder)
    folder.delete(NAME)
    assert folder.size(NAME) is None
    folder.delete(NAME)
    assert folder.size(f"{NAME}/below") is None


def test_every_put_is_listed_by_day(root: Path, folder: Folder) -> None:
    put(folder)
    put(folder, "2.png")
    listed = (root / ".limner" / "written" / "2026-11-28").read_text()
    assert listed == f"{SHA256} {len(IMAGE)} {NAME}\n{SHA256} {len(IMAGE)} 2.png\n"


def test_lines_of_threads_do_not_mix(root: Path, folder: Folder) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(partial(put, folder), [f"{number}.png" for number in range(100)]))
    lines = (root / ".limner" / "written" / "2026-11-28").read_text().splitlines()
    assert sorted(lines) == sorted(f"{SHA256} {len(IMAGE)} {number}.png" for number in range(100))
    assert len(images(root)) == 100


def test_what_was_stored_can_be_pruned(root: Path) -> None:
    # The file's own time is now, so the day of the list is as well.
    put(Folder(str(root)))
    (root / "mine.png").write_bytes(IMAGE)
    pruned = prune(root, 30, date(2999, 1, 1))
    assert (pruned.files, images(root)) == (1, ["mine.png"])


def test_a_url_is_quoted_or_has_the_base_that_is_set(folder: Folder, root: Path) -> None:
    assert folder.url("a=20b/1.png") == f"{root.as_uri()}/a=20b/1.png"
    assert "my%20images" in folder.url("1.png")
    assert Folder("/srv", base="https://cdn.example.com/i").url("1.png") == "https://cdn.example.com/i/1.png"


@pytest.mark.parametrize(
    "name", ["../1.png", "/etc/1.png", "a/../../1.png", "a//1.png", "./1.png", "a\n", ""]
)
def test_a_name_that_could_leave_the_folder_is_refused(folder: Folder, root: Path, name: str) -> None:
    attempts: list[Callable[[], object]] = [
        lambda: put(folder, name),
        lambda: folder.size(name),
        lambda: folder.delete(name),
    ]
    for attempt in attempts:
        with pytest.raises(ValueError, match="not the name"):
            attempt()
    assert not root.exists()


def test_a_check_leaves_only_our_own_folder(root: Path, folder: Folder) -> None:
    folder.check()
    assert [path for path in root.rglob("*") if path.is_file()] == []


def test_a_check_deletes_what_killed_workers_left_a_day_ago(root: Path, folder: Folder) -> None:
    folder.check()
    old, new = root / ".limner" / "staged" / "old", root / ".limner" / "staged" / "new"
    for path in (old, new):
        path.write_bytes(b"half an im")
    os.utime(old, (0, 0))
    folder.check()
    assert (old.exists(), new.exists()) == (False, True)


def test_a_file_of_another_size_is_not_stored(root: Path, folder: Folder) -> None:
    with pytest.raises(ValueError, match="has 8 bytes, not 9"):
        folder.put(NAME, io.BytesIO(IMAGE), content_type="image/png", size=9, sha256=SHA256)
    assert images(root) == []
    assert list((root / ".limner" / "staged").iterdir()) == []


def test_a_file_in_the_place_of_the_folder_is_named(root: Path, folder: Folder) -> None:
    root.parent.mkdir()
    root.write_bytes(b"")
    for attempt in (folder.check, lambda: put(folder)):
        with pytest.raises(StorageError, match=r"^LIMNER_COPY_TO: .*cannot be written or read \(") as caught:
            attempt()
        assert "\n" not in str(caught.value)


AS_NOBODY = """
import os, sys
from worker.copies.folder import Folder
if os.geteuid() == 0:
    os.setuid(65534)
try:
    Folder(sys.argv[1]).check()
except Exception as error:
    print(type(error).__name__, error)
"""


def test_a_folder_that_may_only_be_read_is_named() -> None:
    # pytest makes its folders for their owner alone, and another user shall reach this one.
    with tempfile.TemporaryDirectory() as root:
        Path(root).chmod(0o555)
        argv = [sys.executable, "-c", AS_NOBODY, root]
        said = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True, timeout=30).stdout
        Path(root).chmod(0o755)
    line = f"LIMNER_COPY_TO: {root}/.limner cannot be written or read (Permission denied)"
    assert said == f"StorageError {line}\n"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB, where this process may mount one."""
    path = tmp_path / "disk"
    path.mkdir()
    mount = shutil.which("mount") or "mount"
    if subprocess.run([mount, "-t", "tmpfs", "-o", "size=1m", "tmpfs", path], capture_output=True).returncode:
        pytest.skip("needs the right to mount a tmpfs")
    try:
        yield path
    finally:
        subprocess.run(["umount", path], check=True)


def test_a_full_disk_is_named_and_nothing_is_left_on_it(small_disk: Path) -> None:
    folder = Folder(str(small_disk))
    with pytest.raises(StorageError) as caught:
        put(folder, content=os.urandom(2 * 2**20))
    assert str(caught.value) == f"LIMNER_COPY_TO: the disk of {small_disk} is full"
    assert images(small_disk) == []
    put(folder, content=os.urandom(2**19))
    assert len(images(small_disk)) == 1


DOOMED = """
import sys, time
from worker.copies.folder import Folder

class Slow:
    def __init__(self):
        self.given = 0
    def seek(self, offset, whence=0):
        return 0
    def read(self, size=-1):
        self.given += 1
        if self.given == 3:
            print("half", flush=True)
            time.sleep(60)
        return b"x" * size

Folder(sys.argv[1]).put("2026/1.png", Slow(), content_type="image/png", size=10**7, sha256="0" * 64)
"""


def test_a_killed_put_leaves_nothing_under_the_name(root: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("wb") as output:
        child = Child([sys.executable, "-c", DOOMED, str(root)], output=output.fileno(), cwd=ROOT)
    eventually(lambda: "half" in log.read_text())
    child.kill()
    child.wait(10)
    assert images(root) == []
    assert Folder(str(root)).size("2026/1.png") is None
    put(Folder(str(root)), "2026/1.png")
    assert images(root) == ["2026/1.png"]


def folder_after(root: Path) -> Folder:
    return Folder(str(root))
