"""Buckets of Google and containers of Azure."""

import base64
import hashlib
import hmac
import io
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path

import httpx
import pytest

from tests.integration.worker.copies import servers
from tests.integration.worker.copies.conftest import Maker
from worker.copies.storage import Storage, StorageError

NAME = "2026/11/28/a=2Fb/1.png"
GOOGLE = {"GOOGLE_BEARER_TOKEN": "hunter2"}
AZURE = {"AZURE_STORAGE_ACCOUNT_NAME": servers.AZURE_ACCOUNT, "AZURE_STORAGE_ACCOUNT_KEY": servers.AZURE_KEY}


@pytest.fixture(scope="module")
def gcs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with servers.gcs(tmp_path_factory.mktemp("gcs")) as url:
        yield url


@pytest.fixture(scope="module")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with servers.azure(tmp_path_factory.mktemp("azure")) as url:
        make_container(url, "container")
        yield url


def make_container(url: str, name: str) -> None:
    account = servers.AZURE_ACCOUNT
    headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2021-08-06"}
    fields = "".join(f"{field}:{value}\n" for field, value in headers.items())
    signed = "PUT" + "\n" * 12 + f"{fields}/{account}/{account}/{name}\nrestype:container"
    digest = hmac.new(base64.b64decode(servers.AZURE_KEY), signed.encode(), hashlib.sha256).digest()
    headers["Authorization"] = f"SharedKey {account}:{base64.b64encode(digest).decode()}"
    made = httpx.put(f"{url}/{name}", params={"restype": "container"}, headers=headers, trust_env=False)
    made.raise_for_status()


def put(storage: Storage, name: str = NAME, content: bytes = b"an image") -> None:
    storage.put(name, io.BytesIO(content), content_type="image/png", size=len(content), sha256="")


def check_a_life(storage: Storage) -> None:
    """Store, replace and delete an object."""
    storage.check()
    put(storage)
    put(storage, content=b"the second")
    assert storage.size(NAME) == 10
    storage.delete(NAME)
    assert storage.size(NAME) is None
    storage.delete(NAME)


def test_an_object_lives_in_a_bucket_of_google(gcs: str, storage_with: Maker) -> None:
    check_a_life(storage_with("gs://bucket/images", variables=GOOGLE, copy_endpoint=gcs))


def test_google_knows_the_type_of_an_object(gcs: str, storage_with: Maker) -> None:
    put(storage_with("gs://bucket", variables=GOOGLE, copy_endpoint=gcs), "typed.png")
    found = httpx.get(f"{gcs}/storage/v1/b/bucket/o/typed.png", trust_env=False).json()
    assert (found["contentType"], found["size"]) == ("image/png", "8")


def test_a_missing_bucket_of_google_is_named(gcs: str, storage_with: Maker) -> None:
    with pytest.raises(StorageError, match=r"^LIMNER_COPY_TO: there is no bucket no-bucket \(404"):
        storage_with("gs://no-bucket", variables=GOOGLE, copy_endpoint=gcs).check()


def test_a_large_file_goes_to_google_in_parts(tmp_path: Path, storage_with: Maker, large: Path) -> None:
    # fake-gcs-server does not know the parts of Google's XML interface. They are those of S3.
    with servers.s3(tmp_path, checks=False) as server:
        storage = storage_with("gs://bucket", variables=GOOGLE, copy_endpoint=server.url)
        put(storage, "large.png", large.read_bytes())
        found = server.client().get_object(Bucket="bucket", Key="large.png")
        assert found["ETag"].endswith('-3"')
        assert found["Body"].read() == large.read_bytes()


@pytest.mark.timeout(300)  # npm installs azurite before the first of these
def test_an_object_lives_in_a_container_of_azure(azure: str, storage_with: Maker, large: Path) -> None:
    storage = storage_with("az://container/images", variables=AZURE, copy_endpoint=azure)
    check_a_life(storage)
    put(storage, "large.png", large.read_bytes())
    assert storage.size("large.png") == large.stat().st_size


@pytest.mark.timeout(300)
def test_what_is_wrong_with_a_container_of_azure_is_told(azure: str, storage_with: Maker) -> None:
    with pytest.raises(StorageError) as caught:
        storage_with("az://no-container", variables=AZURE, copy_endpoint=azure).check()
    assert str(caught.value) == "LIMNER_COPY_TO: there is no container no-container (404 ContainerNotFound)"
    wrong = {**AZURE, "AZURE_STORAGE_ACCOUNT_KEY": base64.b64encode(b"hunter2").decode()}
    with pytest.raises(StorageError) as caught:
        storage_with("az://container", variables=wrong, copy_endpoint=azure).check()
    assert str(caught.value) == "LIMNER_COPY_TO: the store refuses the credentials (403 AuthorizationFailure)"
