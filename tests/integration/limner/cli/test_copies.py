"""``copies`` on a real ledger, and on a folder."""

import asyncio
import hashlib
import os
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from limner import Limner
from limner._redis import connect
from limner.cli.app import main
from limner.errors import InvalidState, UnknownJob
from limner.ledger import COMPLETE, Grant, Ledger, Quota, Shortfall, Stored
from limner.ledger.scripts.reports import TaskSucceeded
from limner.models import ImageFile
from tests.integration.limner.cli.conftest import Run
from tests.integration.limner.ledger import speaking

QUOTA = Quota(20, 10.0, 10, 1.0, 100)
FILE = ImageFile(
    url="https://cdn/1.png\x1b[2J",
    name="1.png",
    sha256="ab" * 32,
    size=1_500_000,
    content_type="image/png",
    width=8,
    height=8,
)
GONE = Shortfall({"cause": "link", "message": "the link\x1b[2J is gone"}, 5.0, give_up=True)
AWAY = Shortfall({"cause": "storage", "message": "the bucket is away"}, 3600.0)


@pytest.fixture
def ledger(valkey_url: str) -> Ledger:
    return Ledger(connect(valkey_url))


@pytest.fixture
def limner(valkey_url: str) -> Limner:
    return Limner(valkey_url)


def copied(ledger: Ledger, limner: Limner, left: Shortfall, *stored: int) -> str:
    """A job with two images, and one try to copy them."""
    job_id = limner.submit("a fox").id
    [step] = [step for step in ledger.queue.claim(QUOTA).steps if step.job_id == job_id]
    assert isinstance(ledger.jobs.begin(job_id, step.lease, "token", deadline=900), Grant)
    assert ledger.jobs.accepted(job_id, 1, f"task of {job_id}", poll_in=60)
    made = TaskSucceeded(
        job_id=job_id,
        task_id=f"task of {job_id}",
        urls=["https://a/1.png", "https://a/2.png"],
        cost=Decimal(7),
        ttl=60,
        copy=60.0,
    )
    assert speaking.report(ledger, made).what == "copying"
    steps = ledger.queue.claim(QUOTA, copies=8).steps
    [step] = [step for step in steps if (step.job_id, step.step) == (job_id, "copy")]
    begun = ledger.copies.begin(job_id, step.lease)
    assert begun
    files = {number: Stored(FILE, objects=2, bytes=FILE.size) for number in stored}
    ledger.copies.report(job_id, begun.copy_lease, files, left, ttl=60)
    return job_id


def test_waiting_and_failed_jobs_are_listed_and_tried_again(
    ledger: Ledger, limner: Limner, limner_cli: Run
) -> None:
    waiting = copied(ledger, limner, AWAY, 1)
    failed = copied(ledger, limner, GONE)
    [told] = limner_cli("copies")
    assert told.keys() == {"job_id", "failed", "since", "tries", "at", "last_error", "namespace"}
    assert (told["job_id"], told["failed"], told["tries"], told["last_error"]) == (
        waiting,
        False,
        1,
        "the bucket is away",
    )
    assert [(told["job_id"], told["failed"]) for told in limner_cli("copies", "--failed")] == [(failed, True)]
    assert limner_cli("copies", "--retry", failed) == [{"job_id": failed, "images": 2}]
    assert limner_cli("copies", "--failed") == []
    # What has not failed since is tried soon without any help.
    assert limner_cli("copies", "--retry") == [{"job_id": waiting, "images": 1}]
    assert limner_cli("copies", "--retry") == []
    assert {told["tries"] for told in limner_cli("copies")} == {0}


def test_all_failed_ones_are_tried_again(ledger: Ledger, limner: Limner, limner_cli: Run) -> None:
    failed = [copied(ledger, limner, GONE), copied(ledger, limner, GONE, 1)]
    told = [{"job_id": failed[0], "images": 2}, {"job_id": failed[1], "images": 1}]
    assert limner_cli("copies", "--retry") == told
    assert limner_cli("copies", "--failed") == []


def test_a_job_without_a_rest_and_an_unknown_one_are_errors(
    ledger: Ledger, limner: Limner, limner_cli: Run
) -> None:
    done = copied(ledger, limner, COMPLETE, 1, 2)
    limner_cli("copies", "--retry", done, code=2)
    limner_cli("copies", "--retry", "nobody", code=4)
    with pytest.raises(InvalidState, match=f"job {done} has no images that are still to be copied"):
        limner.get(done).retry_copies()
    with pytest.raises(UnknownJob):
        limner.get("nobody").retry_copies()


def test_a_client_with_a_namespace_has_its_own_copies(
    ledger: Ledger, valkey_url: str, limner: Limner
) -> None:
    north = Limner(valkey_url, namespace="north")
    own, others = copied(ledger, north, GONE), copied(ledger, limner, GONE)
    assert [copy.job_id for copy in north.copies(failed=True)] == [own]
    assert {copy.job_id for copy in limner.copies(failed=True)} == {own, others}
    with pytest.raises(UnknownJob):
        north.get(others).retry_copies()
    assert north.get(own).retry_copies() == 2
    assert [copy.job_id for copy in north.copies()] == [own]


def test_asynchronous_code_has_the_same(ledger: Ledger, limner: Limner, valkey_url: str) -> None:
    failed = copied(ledger, limner, GONE)

    async def backend() -> None:
        async with Limner(valkey_url) as client:
            assert await client.acopies() == []
            assert await client.acopies(failed=True) == client.copies(failed=True) != []
            assert await client.get(failed).aretry_copies() == 2
            assert [copy.job_id for copy in await client.acopies()] == [failed]

    asyncio.run(backend())


@pytest.mark.parametrize(
    "options",
    [
        ("--failed", "--retry"),
        ("--failed", "--prune", "3"),
        ("--retry", "--prune", "3"),
        ("j1",),
        ("j1", "--failed"),
        ("--prune", "-1"),
    ],
)
def test_options_that_contradict_each_other_are_refused(limner_cli: Run, options: tuple[str, ...]) -> None:
    assert limner_cli("copies", *options, code=2) == []


def test_a_person_reads_why_and_no_escape_reaches_the_terminal(
    ledger: Ledger, limner: Limner, valkey_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = copied(ledger, limner, GONE)
    done = copied(ledger, limner, COMPLETE, 1, 2)
    for command in (["copies", "--failed"], ["explain", done], ["status", done], ["spend", "--days", "1"]):
        assert main(["--redis-url", valkey_url, *command]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert f"{failed}  since " in out
    assert "the link\\x1b[2J is gone" in out
    assert "file: https://cdn/1.png\\x1b[2J  1.png, 1.5 MB, sha256 abababababab" in out
    assert "2 of 2 images stored (3.0 MB)" in out
    assert "4 objects stored, 3.0 MB" in out


def test_the_copies_of_a_status_are_told_as_json(ledger: Ledger, limner: Limner, limner_cli: Run) -> None:
    [told] = limner_cli("status", copied(ledger, limner, AWAY, 1))
    assert (told["state"], told["copy_tries"]) == ("copying", 1)
    assert [(copy["number"], copy["stored"]) for copy in told["copies"]] == [(1, True), (2, False)]
    assert told["copies"][0]["file"]["size"] == FILE.size
    assert told["next_copy_at"]


# The folder


def written(folder: Path, name: str, content: bytes, day: date) -> Path:
    """A file as a worker writes it, on that day."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp()
    os.utime(path, (noon, noon))
    lists = folder / ".limner" / "written"
    lists.mkdir(parents=True, exist_ok=True)
    with (lists / day.isoformat()).open("a") as file:
        file.write(f"{hashlib.sha256(content).hexdigest()} {len(content)} {name}\n")
    return path


def test_old_copies_are_deleted_and_nothing_else(
    limner_cli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    today = datetime.now(UTC).date()
    old = written(tmp_path, "a/1.png", b"old", today - timedelta(days=40))
    young = written(tmp_path, "b/1.png", b"young", today - timedelta(days=5))
    changed = written(tmp_path, "c/1.png", b"first", today - timedelta(days=40))
    changed.write_bytes(b"a person's")
    foreign = tmp_path / "foreign.png"
    foreign.write_bytes(b"foreign")
    monkeypatch.setenv("LIMNER_COPY_TO", f"file://{tmp_path}")
    assert limner_cli("copies", "--prune", "30") == [{"files": 1, "bytes": 3, "changed": 1, "failed": 0}]
    assert [path.exists() for path in (old, young, changed, foreign)] == [False, True, True, True]


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("", "LIMNER_COPY_TO: not set"),
        ("s3://secret-bucket/images", "a bucket deletes old objects by its own lifecycle rules"),
        ("gs://secret-bucket", "a bucket deletes old objects by its own lifecycle rules"),
        ("/secret/images", "a bucket deletes old objects by its own lifecycle rules"),
        ("file:///secret/nowhere", "must be the absolute path of a folder of this machine"),
        ("file://secret", "must be the absolute path of a folder of this machine"),
    ],
)
def test_only_a_folder_is_pruned(
    valkey_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    place: str,
    told: str,
) -> None:
    monkeypatch.setenv("LIMNER_COPY_TO", place)
    assert main(["--redis-url", valkey_url, "copies", "--prune", "30"]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert "secret" not in error
