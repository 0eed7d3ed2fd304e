"""Images saved from a server."""

import asyncio
import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from limner import ImageFile, Images, ImagesNotSaved, TextToImage
from tests.integration.limner.images import PNG, WEBP, Files, serving

NOW = datetime(2026, 11, 28, tzinfo=UTC)
LOCAL = ["127.0.0.1"]


@pytest.fixture
def server() -> Iterator[Files]:
    with serving({"/1.png": PNG, "/2": WEBP, "/page.png": b"<html>This link has expired</html>"}) as served:
        yield served


def result(*urls: str, files: list[ImageFile] | None = None) -> Images:
    return Images(
        job_id="job-7",
        urls=list(urls),
        task_id="t",
        parameters=TextToImage(prompt="a fox"),
        created_at=NOW,
        sent_at=NOW,
        finished_at=NOW,
        files=files or [],
        copied=bool(files),
    )


def copy(url: str, data: bytes) -> ImageFile:
    return ImageFile(
        url=url,
        name="1.png",
        sha256=hashlib.sha256(data).hexdigest(),
        size=len(data),
        content_type="image/png",
        width=8,
        height=8,
    )


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_links_are_saved_with_the_extension_that_their_bytes_say(server: Files, tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    paths = result(f"{server.url}/1.png", f"{server.url}/2").save(
        tmp_path, plain_hosts=LOCAL, progress=lambda done, total: told.append((done, total))
    )
    assert [(path.name, path.read_bytes()) for path in paths] == [
        ("job-7-1.png", PNG),
        ("job-7-2.webp", WEBP),
    ]
    assert listing(tmp_path) == ["job-7-1.png", "job-7-2.webp"]
    assert told[0] == (0, None)
    assert told[-1] == (len(PNG + WEBP), len(PNG + WEBP))


def test_links_that_were_saved_are_the_same_files_afterwards(server: Files, tmp_path: Path) -> None:
    images = result(f"{server.url}/1.png")
    [path] = images.save(tmp_path, plain_hosts=LOCAL)
    before = path.stat().st_ino
    assert images.save(tmp_path, plain_hosts=LOCAL) == [path]
    assert (path.stat().st_ino, listing(tmp_path)) == (before, ["job-7-1.png"])


def test_a_plain_host_is_refused_unless_it_is_named(
    server: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = result(f"{server.url}/1.png")
    with pytest.raises(ImagesNotSaved, match="LIMNER_COPY_PLAIN_HOSTS") as no:
        images.save(tmp_path)
    assert (server.asked, no.value.retryable) == ([], False)
    monkeypatch.setenv("LIMNER_COPY_PLAIN_HOSTS", "elsewhere, 127.0.0.1")
    assert len(images.save(tmp_path)) == 1


def test_what_no_link_has_is_named_and_the_rest_is_saved(server: Files, tmp_path: Path) -> None:
    server.cut_off.add("/1.png")
    images = result(*(f"{server.url}{path}" for path in ("/1.png", "/gone.png", "/page.png", "/2")))
    with pytest.raises(ImagesNotSaved, match="3 of 4 images") as no:
        images.save(tmp_path, plain_hosts=LOCAL)
    assert [*no.value.reasons] == [1, 2, 3]
    assert "404" in no.value.reasons[2]
    assert "no PNG" in no.value.reasons[3]
    assert no.value.saved == [tmp_path / "job-7-4.webp"]
    assert listing(tmp_path) == ["job-7-4.webp"]


@pytest.mark.parametrize(("path", "retryable"), [("/1.png", True), ("/gone.png", False)])
def test_an_error_says_if_the_same_again_has_a_chance(
    server: Files, tmp_path: Path, path: str, retryable: bool
) -> None:
    server.cut_off.add("/1.png")
    with pytest.raises(ImagesNotSaved) as no:
        result(f"{server.url}{path}").save(tmp_path, plain_hosts=LOCAL)
    assert no.value.retryable is retryable


@pytest.mark.parametrize("fault", ["gone", "changed", "cut off", "page"])
def test_a_copy_that_is_not_to_be_had_is_saved_from_its_link(
    server: Files, tmp_path: Path, fault: str
) -> None:
    server.files["/copy.png"] = {"changed": PNG + b"!", "page": b"<html>"}.get(fault, PNG)
    if fault == "gone":
        del server.files["/copy.png"]
    if fault == "cut off":
        server.cut_off.add("/copy.png")
    images = result(f"{server.url}/1.png", files=[copy(f"{server.url}/copy.png", PNG)])
    [path] = images.save(tmp_path, plain_hosts=LOCAL)
    assert (path.read_bytes(), server.asked) == (PNG, ["/copy.png", "/1.png"])
    assert listing(tmp_path) == ["job-7-1.png"]


def test_a_link_gives_no_other_bytes_than_those_of_the_copy(server: Files, tmp_path: Path) -> None:
    images = result(f"{server.url}/2", files=[copy(f"{server.url}/gone.png", PNG)])
    with pytest.raises(ImagesNotSaved, match=r"404.*sha256"):
        images.save(tmp_path, plain_hosts=LOCAL)
    assert listing(tmp_path) == []


def test_a_copy_leaves_the_link_alone(server: Files, tmp_path: Path) -> None:
    server.files["/copy.png"] = PNG
    images = result(f"{server.url}/1.png", files=[copy(f"{server.url}/copy.png", PNG)])
    images.save(tmp_path, plain_hosts=LOCAL)
    assert server.asked == ["/copy.png"]


def test_asynchronous_code_goes_on_meanwhile(server: Files, tmp_path: Path) -> None:
    server.held_up |= {"/1.png", "/2"}

    async def backend() -> list[Path]:
        saving = asyncio.create_task(
            result(f"{server.url}/1.png", f"{server.url}/2").asave(tmp_path, plain_hosts=LOCAL)
        )
        while sum(name.endswith(".part") for name in listing(tmp_path)) < 2:
            await asyncio.sleep(0.01)
        server.released.set()
        return await saving

    assert [path.read_bytes() for path in asyncio.run(asyncio.wait_for(backend(), 30))] == [PNG, WEBP]
    assert listing(tmp_path) == ["job-7-1.png", "job-7-2.webp"]
