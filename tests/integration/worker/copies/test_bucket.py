"""Buckets of S3: what is stored, and the line that tells what is wrong."""

import hashlib
import io
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.worker.copies.conftest import Maker
from tests.integration.worker.copies.servers import S3, free_port
from tests.repository import ROOT
from worker.copies import bucket
from worker.copies.storage import Storage, StorageError

NAME = "2026/11/28/a=2Fb/1.png"
OWNED = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "hunter2hunter2"}


def put(storage: Storage, name: str = NAME, content: bytes = b"an image") -> None:
    storage.put(
        name,
        io.BytesIO(content),
        content_type="image/png",
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )


@pytest.fixture
def store(s3: S3, storage_with: Maker) -> Storage:
    return storage_with("s3://bucket/images", variables=s3.keys["owner"], copy_endpoint=s3.url)


def test_an_object_is_stored_with_its_type_under_the_prefix(s3: S3, store: Storage) -> None:
    put(store)
    found = s3.client().get_object(Bucket="bucket", Key=f"images/{NAME}")
    assert (found["Body"].read(), found["ContentType"]) == (b"an image", "image/png")
    assert store.size(NAME) == 8


def test_a_second_put_replaces_the_object(s3: S3, store: Storage) -> None:
    put(store, content=b"first")
    put(store, content=b"the second")
    assert store.size(NAME) == 10
    listed = s3.client().list_objects_v2(Bucket="bucket", Prefix="images/2026/11/28/a=2Fb/")
    assert listed["KeyCount"] == 1


def test_a_large_file_is_stored_in_parts_as_a_whole(s3: S3, store: Storage, large: Path) -> None:
    with large.open("rb") as file:
        file.seek(17)
        store.put("large.png", file, content_type="image/png", size=large.stat().st_size, sha256="0" * 64)
    found = s3.client().get_object(Bucket="bucket", Key="images/large.png")
    assert found["ETag"].endswith('-3"')
    assert found["ContentType"] == "image/png"
    assert found["Body"].read() == large.read_bytes()


def test_an_object_is_deleted_and_may_be_gone_already(store: Storage) -> None:
    put(store, "gone.png")
    store.delete("gone.png")
    assert store.size("gone.png") is None
    store.delete("gone.png")


def test_a_check_leaves_nothing_behind(s3: S3, store: Storage) -> None:
    store.check()
    listed = s3.client().list_objects_v2(Bucket="bucket", Prefix="images/.limner")
    assert listed["KeyCount"] == 0


def test_a_url_is_the_store_s_own_or_has_the_base_that_is_set(storage_with: Maker) -> None:
    assert storage_with("s3://bucket", variables=OWNED).url("a/b=20.png") == "s3://bucket/a/b=20.png"
    assert storage_with("s3://bucket/x/y/").url("1.png") == "s3://bucket/x/y/1.png"
    assert storage_with("s3://bucket/x", copy_url="https://cdn.example.com/i/").url("1.png") == (
        "https://cdn.example.com/i/1.png"
    )


@pytest.mark.parametrize("name", ["../1.png", "/1.png", "a//1.png", "a/./1.png", "a b", "", "a%2e"])
def test_a_name_that_could_leave_the_prefix_is_refused(store: Storage, name: str) -> None:
    with pytest.raises(ValueError, match="not the name"):
        put(store, name)


def test_a_file_of_another_size_is_not_stored(store: Storage) -> None:
    with pytest.raises(ValueError, match="has 3 bytes, not 4"):
        store.put("short.png", io.BytesIO(b"abc"), content_type="image/png", size=4, sha256="")
    assert store.size("short.png") is None


def test_a_put_that_is_cut_off_leaves_no_object_and_no_parts(
    s3: S3, store: Storage, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket, "_PUT_SECONDS", 0)
    with large.open("rb") as file, pytest.raises(StorageError, match="too slow"):
        store.put("cut.png", file, content_type="image/png", size=large.stat().st_size, sha256="")
    assert store.size("cut.png") is None
    assert "Uploads" not in s3.client().list_multipart_uploads(Bucket="bucket")


@pytest.mark.parametrize(
    ("user", "line"),
    [
        ("reader", "LIMNER_COPY_TO: the credentials have no right to write there (403 AccessDenied)"),
        ("writer", "LIMNER_COPY_TO: the credentials have no right to delete there (403 AccessDenied)"),
    ],
)
def test_a_missing_right_is_named(s3: S3, storage_with: Maker, user: str, line: str) -> None:
    with pytest.raises(StorageError) as caught:
        storage_with("s3://bucket/x", variables=s3.keys[user], copy_endpoint=s3.url).check()
    assert str(caught.value) == line


def test_wrong_credentials_are_told_and_not_shown(s3: S3, storage_with: Maker) -> None:
    wrong = {**s3.keys["owner"], "AWS_SECRET_ACCESS_KEY": "hunter2hunter2"}
    for variables, code in [(wrong, "SignatureDoesNotMatch"), (OWNED, "InvalidAccessKeyId")]:
        with pytest.raises(StorageError) as caught:
            storage_with("s3://bucket", variables=variables, copy_endpoint=s3.url).check()
        assert str(caught.value) == f"LIMNER_COPY_TO: the store refuses the credentials (403 {code})"
        assert caught.value.__suppress_context__


def test_a_missing_bucket_is_named(s3: S3, storage_with: Maker, large: Path) -> None:
    store = storage_with("s3://no-bucket", variables=s3.keys["owner"], copy_endpoint=s3.url)
    for attempt in (store.check, lambda: put(store), lambda: put(store, content=large.read_bytes())):
        with pytest.raises(StorageError) as caught:
            attempt()
        assert str(caught.value) == "LIMNER_COPY_TO: there is no bucket no-bucket (404 NoSuchBucket)"


@contextmanager
def answering(answer: bytes, requests: list[bytes] | None = None) -> Iterator[str]:
    """A server that gives one answer to each request; with an empty one it never answers."""
    held = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                held.append(connection)
                if answer:
                    request = connection.recv(65536)
                    if requests is not None:
                        requests.append(request)
                    connection.sendall(answer)
                    connection.close()

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        for connection in held:
            connection.close()


def answer(status: str, body: str) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()


@pytest.mark.parametrize(
    ("status", "body", "line"),
    [
        (
            "400 Bad Request",
            (
                "<Error><Code>AuthorizationHeaderMalformed</Code><Message>The authorization header is "
                "malformed; the region 'us-east-1' is wrong; expecting 'eu-central-1'</Message></Error>"
            ),
            "LIMNER_COPY_REGION: must be eu-central-1",
        ),
        (
            "301 Moved Permanently",
            "<Error><Code>PermanentRedirect</Code><Endpoint>bucket.s3.eu-west-1.amazonaws.com</Endpoint></Error>",
            "LIMNER_COPY_REGION: is wrong",
        ),
        (
            "503 Slow Down",
            "<Error><Code>SlowDown</Code></Error>",
            "LIMNER_COPY_TO: the store has answered 503 SlowDown",
        ),
        (
            "403 Forbidden",
            "<Error><Code>RequestTimeTooSkewed</Code></Error>",
            "LIMNER_COPY_TO: the clock of this machine is wrong (403 RequestTimeTooSkewed)",
        ),
    ],
)
def test_what_aws_answers_is_told_in_a_line(storage_with: Maker, status: str, body: str, line: str) -> None:
    with answering(answer(status, body)) as url, pytest.raises(StorageError) as caught:
        put(storage_with("s3://bucket", variables=OWNED, copy_endpoint=url))
    assert str(caught.value) == line


def test_a_store_that_is_away_is_told_within_seconds(storage_with: Maker) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    store = storage_with("s3://bucket", variables=OWNED, copy_endpoint=url)
    began = time.monotonic()
    with pytest.raises(StorageError) as caught:
        store.check()
    assert str(caught.value) == f"LIMNER_COPY_ENDPOINT: {url} cannot be reached"
    assert time.monotonic() - began < 3


def test_a_request_that_fails_is_sent_three_times_and_no_more(storage_with: Maker) -> None:
    requests: list[bytes] = []
    with answering(answer("503 Slow Down", ""), requests) as url, pytest.raises(StorageError):
        put(storage_with("s3://bucket", variables=OWNED, copy_endpoint=url))
    assert len(requests) == 3


@pytest.mark.parametrize(
    ("variables", "copy_region", "region"),
    [
        ({}, "", "us-east-1"),
        ({"AWS_DEFAULT_REGION": "sa-east-1"}, "", "sa-east-1"),
        ({"AWS_REGION": "eu-west-1"}, "", "eu-west-1"),
        ({"AWS_REGION": "eu-west-1"}, "auto", "auto"),
    ],
)
def test_a_request_is_signed_for_the_region(
    storage_with: Maker, variables: dict[str, str], copy_region: str, region: str
) -> None:
    requests: list[bytes] = []
    with answering(answer("400 Bad Request", ""), requests) as url, pytest.raises(StorageError):
        put(
            storage_with(
                "s3://bucket", variables={**OWNED, **variables}, copy_endpoint=url, copy_region=copy_region
            )
        )
    assert f"/{region}/s3/aws4_request".encode() in requests[0]


def test_a_store_that_hangs_is_given_up(storage_with: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bucket, "_REQUEST_SECONDS", 0.2)
    began = time.monotonic()
    with answering(b"") as url, pytest.raises(StorageError) as caught:
        put(storage_with("s3://bucket", variables=OWNED, copy_endpoint=url))
    assert time.monotonic() - began < 10
    assert str(caught.value) == f"LIMNER_COPY_ENDPOINT: {url} is too slow, or does not answer"


def test_a_file_of_credentials_is_read(s3: S3, storage_with: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = s3.keys["owner"]
    folder = Path.home() / ".aws"
    folder.mkdir()
    lines = [f"{name.lower()} = {value}" for name, value in keys.items()]
    (folder / "credentials").write_text("\n".join(["[shop]", *lines]))
    monkeypatch.setenv("AWS_PROFILE", "shop")
    storage_with("s3://bucket/profile", copy_endpoint=s3.url).check()


def test_a_profile_that_does_not_exist_is_named(storage_with: Maker) -> None:
    with pytest.raises(StorageError, match=r"^AWS_PROFILE: The config profile \(nobody\)"):
        storage_with("s3://bucket", variables={"AWS_PROFILE": "nobody"})


MEASURED = """
import resource, sys
from config import Settings
from worker.copies.storage import make_storage
store = make_storage(Settings())
def put(size):
    with open(sys.argv[1], "rb+") as file:
        file.truncate(size)
        store.put("flat.png", file, content_type="image/png", size=size, sha256="")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
print(-put(20 * 2**20) + put(60 * 2**20))
"""


def test_a_put_of_60_mb_takes_no_more_memory_than_a_smaller_one(
    s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables = {**s3.keys["owner"], "LIMNER_COPY_TO": "s3://bucket", "LIMNER_COPY_ENDPOINT": s3.url}
    for name, value in {**variables, "LIMNER_REDIS_URL": "redis://127.0.0.1"}.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "sparse").touch()
    argv = [sys.executable, "-c", MEASURED, str(tmp_path / "sparse")]
    grown = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout
    assert float(grown) < 8
