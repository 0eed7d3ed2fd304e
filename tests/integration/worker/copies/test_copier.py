"""The copy of one image: real HTTP on loopback, and a real folder."""

import hashlib
import io
import json
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from PIL import Image
from pydantic import SecretStr

from limner._fetch import Fetcher, Limits
from limner.ledger import Record
from limner.ledger.layout.constants import VERSION
from limner.models import ImageFile
from limner.status import Copy
from provider import KieClient
from tests.copies import objects
from tests.integration.provider.raw import Conversation, RawServer, always, http
from worker.copies.copier import Copier
from worker.copies.faults import CopyFailed, CopyFault, StepLost
from worker.copies.folder import Folder
from worker.copies.names import ObjectNames

Plan = Callable[[ImageFile], bool]
KEY = "sk-0123456789abcdef0123456789abcdef"
TYPE = "Content-Type: image/png\r\n"


def png(seed: int) -> bytes:
    """A picture of 300 x 200 pixels of noise."""
    pixels = random.Random(seed).randbytes(300 * 200 * 3)
    out = io.BytesIO()
    Image.frombytes("RGB", (300, 200), pixels).save(out, "PNG")
    return out.getvalue()


ONE, OTHER = png(1), png(2)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def refusal(status: int) -> bytes:
    return http(b"no", status=f"{status} No")


@dataclass
class Place:
    """A copier with a folder, and what it asks for."""

    root: Path
    spools: Path
    link: str | None = None
    """The provider's answer to a request for a fresh link."""
    asked: list[tuple[str, str]] = field(default_factory=list)
    """The account and the link for which a fresh one was asked."""
    plans: list[ImageFile] = field(default_factory=list)
    names: str = "{job_id}/{number}.{ext}"

    def copier(self, *, thumbnails: bool = True) -> Copier:
        return Copier(
            storage=Folder(str(self.root)),
            fetcher=Fetcher(Limits(seconds=5, idle_seconds=2, max_bytes=10**6), plain_hosts=["127.0.0.1"]),
            names=ObjectNames(self.names),
            fresh_link=self._fresh_link,
            turns=threading.Semaphore(1),
            thumbnails=thumbnails,
            spool_folder=str(self.spools),
        )

    def _fresh_link(self, account: str, url: str) -> str | None:
        self.asked.append((account, url))
        return self.link

    def plan(self, file: ImageFile) -> bool:
        """Agree to a plan, at a time at which nothing of it is in the folder."""
        assert not (self.root / file.name).exists()
        self.plans.append(file)
        return True

    def bytes_of(self, name: str) -> bytes:
        return (self.root / name).read_bytes()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    spools = tmp_path / "spools"
    spools.mkdir()
    yield Place(tmp_path / "images", spools)
    assert not list(spools.iterdir())
    staged = tmp_path / "images" / ".limner" / "staged"
    assert not staged.exists() or not list(staged.iterdir())


RECORD = Record.from_hash(
    "j",
    {
        "v": str(VERSION), "state": "copying", "request": "{}", "metadata": "{}", "priority": "5",
        "created": "1", "lease": "1", "attempt": "1", "polls": "1",
        "outcome": json.dumps({"urls": [], "credits": "7"}),
        "tasks": json.dumps([{"id": "t1", "attempt": 1, "state": "succeeded", "account": "second"}]),
    },
)  # fmt: skip


def image_at(url: str, file: ImageFile | None = None) -> Copy:
    return Copy(number=1, task_id="t1", url=url, stored=False, file=file)


@contextmanager
def host(*answers: bytes) -> Iterator[RawServer]:
    """A file host that gives these answers in turn, and the last of them for ever."""
    left = list(answers)

    def script(conversation: Conversation) -> None:
        if conversation.receive():
            conversation.send(left.pop(0) if len(left) > 1 else left[0])

    with RawServer(script) as server:
        yield server


def test_an_image_is_stored_with_its_thumbnail_as_planned(place: Place) -> None:
    with host(http(ONE, headers=TYPE)) as files:
        stored = place.copier().copy(RECORD, image_at(f"{files.url}/a.png"), place.plan)
    assert place.plans == [stored.file]
    file = stored.file
    assert (file.name, file.sha256, file.size) == ("j/1.png", sha256(ONE), len(ONE))
    assert (file.content_type, file.width, file.height) == ("image/png", 300, 200)
    assert place.bytes_of("j/1.png") == ONE
    small = place.bytes_of("j/1.png.thumb.webp")
    assert file.thumbnail
    assert file.thumbnail.endswith("/j/1.png.thumb.webp")
    assert (stored.objects, stored.bytes) == (2, len(ONE) + len(small))
    assert objects(place.root) == {"j/1.png", "j/1.png.thumb.webp"}


def test_a_planned_object_that_is_there_is_not_fetched_again(place: Place) -> None:
    with host(http(ONE)) as files:
        first = place.copier().copy(RECORD, image_at(f"{files.url}/a.png"), place.plan)
        second = place.copier().copy(RECORD, image_at(f"{files.url}/a.png", first.file), place.plan)
        assert files.connections == 1
    assert second.file == first.file
    assert len(place.plans) == 1


def test_a_plan_for_another_place_is_made_anew(place: Place) -> None:
    with host(http(ONE)) as files:
        planned = place.copier().copy(RECORD, image_at(f"{files.url}/a.png"), place.plan).file
        elsewhere = planned.model_copy(update={"url": f"s3://old/{planned.name}"})
        again = place.copier().copy(RECORD, image_at(f"{files.url}/a.png", elsewhere), lambda _file: True)
        assert files.connections == 2
    assert again.file == planned


@pytest.mark.parametrize("left", [b"", ONE[:-1]])
def test_a_planned_object_that_is_missing_or_of_another_size_is_fetched_again(
    place: Place, left: bytes
) -> None:
    with host(http(ONE)) as files:
        planned = place.copier().copy(RECORD, image_at(f"{files.url}/a.png"), place.plan).file
        (place.root / planned.name).unlink()
        if left:
            (place.root / planned.name).write_bytes(left)
        again = place.copier().copy(RECORD, image_at(f"{files.url}/a.png", planned), lambda _file: True)
        assert files.connections == 2
    assert again.file == planned
    assert place.bytes_of(planned.name) == ONE


@pytest.mark.parametrize("names", ["{job_id}/{number}.{ext}", "{sha256}.{ext}"])
def test_other_bytes_of_a_second_fetch_replace_the_planned_object(place: Place, names: str) -> None:
    place.names = names
    with host(http(ONE)) as files:
        planned = place.copier().copy(RECORD, image_at(f"{files.url}/a.png"), place.plan).file
    # The first try has died while it wrote: its plan is on record, and its object is not the planned one.
    (place.root / planned.name).write_bytes(ONE[:100])
    with host(http(OTHER)) as files:
        image = image_at(f"{files.url}/a.png", planned)
        stored = place.copier().copy(RECORD, image, lambda _file: True)
    assert stored.file.sha256 == sha256(OTHER)
    assert place.bytes_of(stored.file.name) == OTHER
    assert objects(place.root) == {stored.file.name, f"{stored.file.name}.thumb.webp"}


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_refused_link_is_replaced_by_a_fresh_one(place: Place, status: int) -> None:
    with host(refusal(status), http(ONE)) as files:
        place.link = f"{files.url}/fresh.png"
        stored = place.copier().copy(RECORD, image_at(f"{files.url}/a.png"), place.plan)
        assert place.asked == [("second", f"{files.url}/a.png")]
        assert [request.split()[1] for request in files.requests] == [b"/a.png", b"/fresh.png"]
    assert place.bytes_of(stored.file.name) == ONE


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (refusal(429), CopyFault.LINK),
        (refusal(500), CopyFault.LINK),
        (refusal(503), CopyFault.LINK),
        (http(ONE)[:-1], CopyFault.LINK),
        (http(ONE + bytes(10**6)), CopyFault.LINK),
        (http(b"<html>maintenance</html>"), CopyFault.PICTURE),
        (http(ONE[: len(ONE) // 2]), CopyFault.PICTURE),
        (http(ONE, headers="Content-Type: text/html\r\n"), CopyFault.PICTURE),
    ],
    ids=["429", "500", "503", "cut off", "too large", "page", "half", "another type"],
)
def test_other_faults_ask_for_no_link_and_store_nothing(
    place: Place, answer: bytes, fault: CopyFault
) -> None:
    with host(answer) as files, pytest.raises(CopyFailed) as caught:
        place.copier().copy(RECORD, image_at(f"{files.url}/a.png"), place.plan)
    assert caught.value.fault is fault
    assert not place.asked
    assert not place.plans
    assert not objects(place.root)


@pytest.mark.parametrize("link", [None, "/fresh.png"])
def test_a_link_that_stays_refused_is_a_fault_of_the_link(place: Place, link: str | None) -> None:
    with host(refusal(403)) as files:
        place.link = link and files.url + link
        with pytest.raises(CopyFailed, match="link") as caught:
            place.copier().copy(RECORD, image_at(f"{files.url}/a.png?secret=1"), place.plan)
    assert caught.value.fault is CopyFault.LINK
    assert "secret" not in str(caught.value)
    assert not objects(place.root)


def test_a_lost_step_stores_nothing(place: Place) -> None:
    with host(http(ONE)) as files, pytest.raises(StepLost):
        place.copier().copy(RECORD, image_at(f"{files.url}/a.png"), lambda _file: False)
    assert not objects(place.root)


def test_without_thumbnails_the_image_is_alone(place: Place) -> None:
    with host(http(ONE)) as files:
        copier = place.copier(thumbnails=False)
        stored = copier.copy(RECORD, image_at(f"{files.url}/a.png"), place.plan)
    assert stored.file.thumbnail is None
    assert (stored.objects, stored.bytes) == (1, len(ONE))
    assert objects(place.root) == {"j/1.png"}


def test_a_store_that_is_away_is_a_fault_of_the_storage(place: Place) -> None:
    place.root.write_bytes(b"a file where the folder was")
    with host(http(ONE)) as files, pytest.raises(CopyFailed) as caught:
        place.copier().copy(RECORD, image_at(f"{files.url}/a.png"), place.plan)
    assert caught.value.fault is CopyFault.STORAGE
    assert "LIMNER_COPY_TO" in str(caught.value)


def test_a_temporary_folder_that_takes_no_file_is_told_by_name(place: Place) -> None:
    with host(http(ONE, headers=TYPE)) as server, pytest.raises(CopyFailed, match=r"^TMPDIR: ") as failed:
        replace(place.copier(), spool_folder=str(place.root / "gone")).copy(
            RECORD, image_at(f"{server.url}/1.png"), place.plan
        )
    assert failed.value.fault is CopyFault.STORAGE
    assert not objects(place.root)


def test_a_name_whose_place_something_else_has_keeps_no_other_image_from_being_stored(place: Place) -> None:
    place.root.mkdir()
    (place.root / "taken").write_text("a file")
    with host(http(ONE, headers=TYPE)) as server:
        copier, image = place.copier(), image_at(f"{server.url}/1.png")
        with pytest.raises(CopyFailed, match="Not a directory") as failed:
            copier.copy(replace(RECORD, folder="taken"), image, place.plan)
        assert failed.value.fault is CopyFault.STORAGE
        assert copier.copy(RECORD, image, place.plan).file.name == "j/1.png"


def test_a_bug_in_the_storage_leaves_no_temporary_file(place: Place) -> None:
    class Broken(Folder):
        def put(self, *_: object, **__: object) -> None:
            raise RuntimeError("a bug")

    copier = replace(place.copier(), storage=Broken(str(place.root)))
    with host(http(ONE)) as files, pytest.raises(RuntimeError, match="a bug"):
        copier.copy(RECORD, image_at(f"{files.url}/a.png"), place.plan)
    assert not list(place.spools.iterdir())


def test_the_file_host_never_gets_the_key(place: Place) -> None:
    with host(refusal(403), http(ONE)) as files:
        link = json.dumps({"code": 200, "msg": "success", "data": f"{files.url}/fresh.png"}).encode()
        answer = http(link, headers="Content-Type: application/json\r\n")
        with RawServer(always(answer)) as api, KieClient(api.url, SecretStr(KEY)) as client:
            copier = replace(place.copier(), fresh_link=lambda _account, url: client.download_url(url))
            copier.copy(RECORD, image_at(f"{files.url}/a.png"), place.plan)
            [asked] = api.requests
        assert KEY.encode() in asked
        assert len(files.requests) == 2
        for request in files.requests:
            head = request.lower()
            assert KEY.encode() not in request
            assert b"authorization" not in head
            assert b"cookie" not in head
