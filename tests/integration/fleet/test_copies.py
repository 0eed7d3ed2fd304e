"""Copies of paid images, by a fleet of real processes, in a folder of this machine."""

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.request import url2pathname

import pytest
from celery.result import AsyncResult
from PIL import Image

from limner import Images, Job, Limner, TextToImage, errors
from limner._redis import connect
from limner.status import JobState
from sandbox.local.fleet import LocalFleet
from tests.conftest import eventually
from tests.integration.fleet.conftest import ROOMY, plain_celery, quick_provider
from worker.copies.names import thumbnail_name

WAIT = 60.0
PATIENCE = 5.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("copies") / "images"


@pytest.fixture(scope="module")
def fleet(folder: Path) -> Iterator[LocalFleet]:
    settings = {
        **ROOMY,
        "LIMNER_COPY_TO": folder.as_uri(),
        "LIMNER_COPY_PLAIN_HOSTS": "127.0.0.1",
        "LIMNER_COPY_PATIENCE_SECONDS": str(PATIENCE),
        "LIMNER_COPY_BACKOFF_MAX_SECONDS": "1",
    }
    with LocalFleet(workers=2, settings=settings, provider=quick_provider()) as running:
        yield running


def faults(fleet: LocalFleet, **faults: float) -> None:
    """Have the stand-in's file host fail so; 0 ends a fault."""
    assert fleet.provider
    fleet.provider.faults(**faults)


def events(job: Job) -> list[str]:
    return [entry.event for entry in job.log()]


def path_of(url: str) -> Path:
    return Path(url2pathname(url.removeprefix("file://")))


def objects(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and ".limner" not in path.parts]


def check_files(images: Images, number: int) -> None:
    assert images.copied
    assert len(images.files) == number == len(images.urls)
    for file in images.files:
        data = path_of(file.url).read_bytes()
        assert hashlib.sha256(data).hexdigest() == file.sha256
        assert len(data) == file.size
        with Image.open(path_of(file.url)) as image:
            assert (image.width, image.height) == (file.width, file.height)
        assert file.thumbnail
        with Image.open(path_of(file.thumbnail)) as small:
            assert (small.format, max(small.size)) == ("WEBP", 256)


def test_a_job_ends_when_its_images_are_safe(fleet: LocalFleet, limner: Limner, folder: Path) -> None:
    job = limner.submit(TextToImage(prompt="a lighthouse", num_images=3), copy_to="orders/4711")
    images = job.result(WAIT)
    check_files(images, 3)
    today = f"{datetime.now(UTC):%Y/%m/%d}"
    assert [file.name for file in images.files] == [
        f"orders/4711/{today}/{job.id}/{number}.png" for number in (1, 2, 3)
    ]
    assert len(objects(folder / "orders/4711")) == 6
    assert events(job)[-3:] == ["copying", "copied", "succeeded"]
    plain: Any = AsyncResult(job.id, app=plain_celery(fleet.redis_url)).get(timeout=WAIT)
    assert Images.model_validate(plain) == images
    assert plain["files"][0]["sha256"] == images.files[0].sha256
    [today_spent] = limner.spend(days=1).days
    assert today_spent.copied_objects == 6
    assert today_spent.copied_bytes > sum(file.size for file in images.files)


def test_copies_are_saved_without_the_provider(limner: Limner, tmp_path: Path) -> None:
    job = limner.submit(TextToImage(prompt="a pier", num_images=2))
    images = job.result(WAIT)
    # The links of the stand-in are http, which is refused here.
    paths = images.save(tmp_path)
    assert [path.name for path in paths] == [f"{job.id}-1.png", f"{job.id}-2.png"]
    assert [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths] == [
        file.sha256 for file in images.files
    ]


def test_a_job_may_leave_its_images_with_the_provider(limner: Limner) -> None:
    job = limner.submit("a kite", copy=False)
    images = job.result(WAIT)
    assert images.urls
    assert not images.copied
    assert not images.files
    assert "copying" not in events(job)


def test_a_job_whose_copies_take_long_succeeds_with_links(fleet: LocalFleet, limner: Limner) -> None:
    faults(fleet, file_404=1.0)
    job = limner.submit("a slow harbour")
    eventually(lambda: job.status().state is JobState.COPYING)
    images = job.result(WAIT)
    assert images.urls
    assert not images.copied
    result: Any = AsyncResult(job.id, app=plain_celery(fleet.redis_url)).get(timeout=WAIT)
    assert result["copied"] is False
    eventually(lambda: job.status().copy_tries > 0)
    assert job.status().next_copy_at
    faults(fleet, file_404=0.0)
    eventually(lambda: job.result(WAIT).copied)
    check_files(job.result(WAIT), 1)
    eventually(lambda: AsyncResult(job.id, app=plain_celery(fleet.redis_url)).get(timeout=WAIT)["copied"])
    assert events(job)[-1] == "copied"
    assert [copy.stored for copy in job.status().copies] == [True]


def test_what_is_linked_to_a_job_is_sent_once_and_stays_with_its_result(
    fleet: LocalFleet, limner: Limner
) -> None:
    faults(fleet, file_404=1.0)
    app = plain_celery(fleet.redis_url)
    link = app.signature("shop.frame", queue="nobody")
    sent = app.send_task("limner.create_task", kwargs={"prompt": "a linked kite"}, queue="limner", link=link)
    assert not sent.get(timeout=WAIT)["copied"]
    faults(fleet, file_404=0.0)
    eventually(lambda: limner.get(sent.id).result(WAIT).copied)
    eventually(lambda: AsyncResult(sent.id, app=app).get(timeout=WAIT)["copied"])
    with connect(fleet.redis_url) as client:
        [message] = client.lrange("nobody", 0, -1)
    result: Any = AsyncResult(sent.id, app=app)
    [child] = result.children
    assert child.id == json.loads(message)["headers"]["id"]


@pytest.mark.parametrize("fault", ["file_html", "file_truncated"])
def test_what_is_no_whole_image_is_never_stored(
    fleet: LocalFleet, limner: Limner, folder: Path, fault: str
) -> None:
    faults(fleet, **{fault: 1.0})
    job = limner.submit(f"a broken mirror, {fault}", copy_to=fault)
    assert not job.result(WAIT).copied
    eventually(lambda: job.status().copy_tries > 1)
    assert not objects(folder / fault)
    faults(fleet, **{fault: 0.0})
    eventually(lambda: job.result(WAIT).copied)
    check_files(job.result(WAIT), 1)


def test_an_expired_link_is_replaced_by_the_provider(fleet: LocalFleet, limner: Limner) -> None:
    faults(fleet, file_expired=1.0)
    check_files(limner.submit("a fading poster").result(WAIT), 1)


def test_the_images_of_a_cancelled_job_are_copied(fleet: LocalFleet, limner: Limner, folder: Path) -> None:
    faults(fleet, file_404=1.0)
    job = limner.submit("a cancelled parade", copy_to="cancelled")
    eventually(lambda: job.status().state is JobState.COPYING)
    job.cancel()
    with pytest.raises(errors.Cancelled):
        job.result(WAIT)
    faults(fleet, file_404=0.0)
    eventually(lambda: all(copy.stored for copy in job.status().copies))
    assert len(objects(folder / "cancelled")) == 2
    [task] = job.status().tasks
    assert task.urls
    with pytest.raises(errors.Cancelled):
        job.result(WAIT)


def test_a_killed_worker_leaves_whole_objects_and_each_once(
    fleet: LocalFleet, limner: Limner, folder: Path
) -> None:
    jobs = [limner.submit(f"a parade of {number} drums", copy_to="killed") for number in range(40)]
    for _ in range(3):
        before = len(objects(folder))
        eventually(lambda: len(objects(folder)) > before)  # noqa: B023 - called at once
        fleet.kill_worker(len(fleet.workers) - 1)
        fleet.start_worker()
    eventually(
        lambda: all(job.status().state.ended and job.result(WAIT).copied for job in jobs), within=2 * WAIT
    )
    stored = {file.name: file for job in jobs for file in job.result(WAIT).files}
    found = {str(path.relative_to(folder)) for path in objects(folder / "killed")}
    assert found == {*stored, *(thumbnail_name(name) for name in stored)}
    for job in jobs:
        check_files(job.result(WAIT), 1)
