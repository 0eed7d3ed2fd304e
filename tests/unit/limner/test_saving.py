"""Images saved from files of this machine, which stand for the fleet's storage."""

import asyncio
import hashlib
import os
import resource
import stat
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from limner import ConfigurationError, ImageFile, Images, ImagesNotSaved, TextToImage
from tests.conftest import eventually

PNG = b"\x89PNG\r\n\x1a\n"
RED, BLUE = PNG + b"red" * 200_000, PNG + b"blue" * 200_000
NOW = datetime(2026, 11, 28, tzinfo=UTC)


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    folder = tmp_path / "storage"
    folder.mkdir()
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "folder"


def stored(storage: Path, data: bytes, name: str = "1.png", **facts: Any) -> ImageFile:
    """A copy in the storage. ``facts`` says what its record claims instead of the truth."""
    (storage / name).write_bytes(data)
    usual: dict[str, Any] = {
        "url": (storage / name).as_uri(),
        "name": name,
        "sha256": hashlib.sha256(data).hexdigest(),
        "size": len(data),
        "content_type": "image/png",
        "width": 8,
        "height": 8,
    }
    return ImageFile(**{**usual, **facts})


def result(*files: ImageFile, job_id: str = "job-7", urls: list[str] | None = None) -> Images:
    return Images(
        job_id=job_id,
        urls=urls or [],
        task_id="t",
        parameters=TextToImage(prompt="a fox"),
        created_at=NOW,
        sent_at=NOW,
        finished_at=NOW,
        files=list(files),
        copied=True,
    )


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_images_are_saved_in_their_order_under_the_job_and_their_number(storage: Path, folder: Path) -> None:
    images = result(stored(storage, BLUE, "z.png"), stored(storage, RED, "a=20.png"))
    assert images.save(folder) == [folder / "job-7-1.png", folder / "job-7-2.png"]
    assert [path.read_bytes() for path in images.save(str(folder))] == [BLUE, RED]
    assert listing(folder) == ["job-7-1.png", "job-7-2.png"]


def test_a_file_has_the_rights_that_files_of_the_user_have(storage: Path, folder: Path) -> None:
    before = os.umask(0o027)
    try:
        [path] = result(stored(storage, RED)).save(folder)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_asynchronous_code_gets_the_same(storage: Path, folder: Path) -> None:
    images = result(*(stored(storage, RED + bytes([number]), f"{number}.png") for number in range(9)))
    told: list[tuple[threading.Thread, int, int | None]] = []

    def progress(done: int, total: int | None) -> None:
        told.append((threading.current_thread(), done, total))

    paths = asyncio.run(images.asave(folder, progress=progress))
    assert [path.read_bytes() for path in paths] == [RED + bytes([number]) for number in range(9)]
    assert {thread for thread, *_ in told} == {threading.current_thread()}
    assert told[-1][1:] == (9 * (len(RED) + 1),) * 2


def test_a_job_cannot_choose_a_place_outside_the_folder(storage: Path, folder: Path, tmp_path: Path) -> None:
    paths = [
        path
        for job_id in ("../../x", "/etc/x", "a/../../b", "..", "\x00", "~", "a\\..\\b")
        for path in result(stored(storage, RED), job_id=job_id).save(folder)
    ]
    assert len(set(paths)) == 7
    assert {path.resolve().parent for path in paths} == {folder.resolve()}
    assert listing(tmp_path) == ["deep", "storage"]


def test_other_bytes_than_the_hash_names_are_not_saved(storage: Path, folder: Path) -> None:
    images = result(stored(storage, RED), stored(storage, BLUE, "2.png", sha256="0" * 64))
    with pytest.raises(
        ImagesNotSaved, match=r"job job-7: 1 of 2 images .*image 2: file:.*2\.png.*sha256"
    ) as no:
        images.save(folder)
    assert (no.value.job_id, [*no.value.reasons], no.value.retryable) == ("job-7", [2], False)
    assert no.value.saved == [folder / "job-7-1.png"]
    assert listing(folder) == ["job-7-1.png"]


def test_a_hash_may_be_written_in_capitals(storage: Path, folder: Path) -> None:
    images = result(stored(storage, RED, sha256=hashlib.sha256(RED).hexdigest().upper()))
    assert images.save(folder) == images.save(folder)


def test_the_same_hash_does_not_make_an_image_of_something_else(storage: Path, folder: Path) -> None:
    with pytest.raises(ImagesNotSaved, match="no PNG, JPEG, WebP or GIF"):
        result(stored(storage, b"<html>expired</html>")).save(folder)
    assert listing(folder) == []


def test_what_lies_there_already_is_not_read_again(storage: Path, folder: Path) -> None:
    images = result(stored(storage, RED))
    [path] = images.save(folder)
    before = path.stat()
    (storage / "1.png").unlink()
    told: list[tuple[int, int | None]] = []
    assert images.save(folder, progress=lambda done, total: told.append((done, total))) == [path]
    assert told[-1] == (len(RED), len(RED))
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_file_of_the_users_stays_unless_overwriting_was_asked_for(storage: Path, folder: Path) -> None:
    images = result(stored(storage, RED))
    [path] = images.save(folder)
    path.write_bytes(BLUE)
    with pytest.raises(ImagesNotSaved, match=r"job-7-1\.png exists with other contents; overwrite") as no:
        images.save(folder)
    assert (path.read_bytes(), no.value.retryable) == (BLUE, False)
    images.save(folder, overwrite=True)
    assert path.read_bytes() == RED
    assert listing(folder) == ["job-7-1.png"]


@pytest.mark.parametrize("content_type", ["image/png", "image/unheard"])
def test_a_symbolic_link_is_not_followed(storage: Path, folder: Path, content_type: str) -> None:
    images = result(stored(storage, RED, content_type=content_type))
    for target in (storage / "theirs", storage / "nowhere", storage / "1.png"):
        (storage / "theirs").write_bytes(b"theirs")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "job-7-1.png").unlink(missing_ok=True)
        (folder / "job-7-1.png").symlink_to(target)
        with pytest.raises(ImagesNotSaved, match="exists with other contents"):
            images.save(folder)
        assert (folder / "job-7-1.png").is_symlink()
        images.save(folder, overwrite=True)
        assert not (folder / "job-7-1.png").is_symlink()
        assert (folder / "job-7-1.png").read_bytes() == RED
        assert (storage / "theirs").read_bytes() == b"theirs"
        assert not (storage / "nowhere").exists()


def test_a_folder_that_cannot_be_written_to_is_named(storage: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ImagesNotSaved, match="file cannot be written to: File exists") as no:
        result(stored(storage, RED), stored(storage, BLUE, "2.png")).save(tmp_path / "file")
    assert [*no.value.reasons] == [1, 2]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to any folder")
def test_a_read_only_folder_is_named(storage: Path, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(ImagesNotSaved, match="locked cannot be written to: Permission denied"):
        result(stored(storage, RED)).save(tmp_path / "locked")


def test_a_disk_that_is_full_leaves_no_part_of_an_image(storage: Path, folder: Path) -> None:
    images = result(stored(storage, RED))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(RED) // 2, before[1]))
    try:
        with pytest.raises(ImagesNotSaved, match="folder cannot be written to: File too large"):
            images.save(folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert listing(folder) == []


def test_two_saves_at_once_leave_one_whole_file(storage: Path, folder: Path) -> None:
    images = result(stored(storage, RED), stored(storage, BLUE, "2.png"))

    async def both() -> list[list[Path]]:
        return await asyncio.gather(*(images.asave(folder) for _ in range(8)))

    assert {tuple(paths) for paths in asyncio.run(both())} == {
        (folder / "job-7-1.png", folder / "job-7-2.png")
    }
    assert [(folder / name).read_bytes() for name in listing(folder)] == [RED, BLUE]


class _Interrupted:
    """A person who presses Ctrl-C once the first bytes have come."""

    def __init__(self, folder: Path) -> None:
        self.seen: list[str] = []
        self._folder = folder

    def __call__(self, done: int, _: int | None) -> None:
        if done:
            self.seen = listing(self._folder)
            raise KeyboardInterrupt


def test_ctrl_c_leaves_no_part_of_an_image(storage: Path, folder: Path) -> None:
    progress = _Interrupted(folder)
    with pytest.raises(KeyboardInterrupt):
        result(stored(storage, RED)).save(folder, progress=progress)
    assert [name.endswith(".part") for name in progress.seen] == [True]
    assert listing(folder) == []


def test_a_copy_that_is_no_regular_file_is_not_read(storage: Path, folder: Path) -> None:
    os.mkfifo(storage / "pipe.png")
    secret = stored(storage, RED, "secret.png")
    (storage / "link.png").symlink_to(storage / "secret.png")
    urls = [
        (storage / "pipe.png").as_uri(),
        storage.as_uri(),
        (storage / "link.png").as_uri(),
        "file:///dev/zero",
    ]
    for url in [*urls, "file://other-host/x", "file:///a%00b", "file:relative", "file://"]:
        with pytest.raises(ImagesNotSaved):
            result(secret.model_copy(update={"url": url})).save(folder)
    assert listing(folder) == []


@pytest.mark.parametrize("address", ["ftp://host/x", "data:image/png;base64,AA", "http://[", "", "1.png"])
def test_an_address_of_another_kind_is_refused(storage: Path, folder: Path, address: str) -> None:
    with pytest.raises(ImagesNotSaved, match="image 1: "):
        result(stored(storage, RED, url=address)).save(folder)


def test_a_link_of_the_provider_leads_to_no_file_of_this_machine(storage: Path, folder: Path) -> None:
    (storage / "secret.png").write_bytes(RED)
    images = result(urls=[(storage / "secret.png").as_uri(), "s3://bucket/secret.png"])
    with pytest.raises(ImagesNotSaved, match=r"2 of 2 .* not an address with http, https"):
        images.save(folder)
    assert listing(folder) == []


def test_a_signature_in_an_address_is_not_told(storage: Path, folder: Path) -> None:
    with pytest.raises(ImagesNotSaved) as no:
        result(stored(storage, RED, url="ftp://user:hush@host/1.png?signature=hush")).save(folder)
    assert "ftp://host/1.png" in str(no.value)
    assert "hush" not in str(no.value)


def test_a_copy_in_a_folder_of_another_machine_is_told_from_a_lost_one(storage: Path, folder: Path) -> None:
    images = result(stored(storage, RED))
    (storage / "1.png").unlink()
    with pytest.raises(ImagesNotSaved, match="no such file on this machine; with LIMNER_COPY_URL"):
        images.save(folder)


def test_an_escape_sequence_in_an_address_is_not_passed_on(storage: Path, folder: Path) -> None:
    with pytest.raises(ImagesNotSaved) as no:
        result(stored(storage, RED, url="ftp://host/\x1b[31m\u202e.png")).save(folder)
    assert str(no.value).isprintable()


def test_an_image_has_a_bound_that_the_fleets_setting_gives(
    storage: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIMNER_COPY_MAX_MB", "0.5")
    with pytest.raises(ImagesNotSaved, match=r"more than 0\.5 MB \(LIMNER_COPY_MAX_MB\)"):
        result(stored(storage, RED)).save(folder)
    assert listing(folder) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LIMNER_COPY_MAX_MB", "many"),
        ("LIMNER_COPY_MAX_MB", "0"),
        ("LIMNER_COPY_MAX_MB", "nan"),
        ("LIMNER_COPY_SECONDS", "-1"),
        ("LIMNER_COPY_PLAIN_HOSTS", "not a host"),
        ("LIMNER_COPY_PROXY", "socks://x"),
    ],
)
def test_a_wrong_setting_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=name):
        result().save(folder)


def test_plain_hosts_are_a_list(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="plain_hosts"):
        result().save(folder, plain_hosts="localhost")


def test_copies_that_may_be_of_any_image_are_not_used(storage: Path, folder: Path) -> None:
    links = ["https://127.0.0.1/1.png", "https://127.0.0.1/2.png"]
    with pytest.raises(ImagesNotSaved, match="2 of 2"):
        result(stored(storage, RED), urls=links).save(folder)


def test_a_job_without_images_saves_none(folder: Path) -> None:
    assert result().save(folder) == []


def test_a_save_that_is_cancelled_stops_its_threads(storage: Path, folder: Path) -> None:
    big = stored(storage, RED * 50)

    async def cancelled() -> None:
        begun = asyncio.Event()
        saving = asyncio.create_task(result(big).asave(folder, progress=lambda *_: begun.set()))
        await begun.wait()
        saving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await saving

    asyncio.run(cancelled())
    eventually(lambda: listing(folder) == [])
