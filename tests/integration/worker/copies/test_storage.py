"""The storage that the settings name, and what a process loads for it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from config import Settings
from tests.integration.worker.copies.conftest import Maker
from tests.repository import ROOT
from worker.copies.bucket import Bucket
from worker.copies.folder import Folder
from worker.copies.storage import StorageError, make_storage

NO_CLOUD = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AZURE_STORAGE_ACCOUNT_NAME": "shop"}


def test_nothing_is_copied_without_a_place() -> None:
    settings = Settings.model_validate(
        {"redis_url": "redis://127.0.0.1", "copy_url": "https://cdn.example.com"}
    )
    assert make_storage(settings) is None


@pytest.mark.parametrize(
    ("copy_to", "kind"),
    [
        ("file:///srv/images", Folder),
        ("s3://bucket/prefix", Bucket),
        ("gs://bucket/prefix", Bucket),
        ("az://container/prefix", Bucket),
    ],
)
def test_a_place_has_its_kind_of_storage_and_its_own_urls(
    storage_with: Maker, copy_to: str, kind: type
) -> None:
    made = storage_with(copy_to, variables=NO_CLOUD)
    assert isinstance(made, kind)
    assert made.url("a/1.png") == f"{copy_to}/a/1.png"


def test_azure_needs_the_name_of_an_account(storage_with: Maker) -> None:
    with pytest.raises(StorageError, match=r"^LIMNER_COPY_TO: az:// needs .* AZURE_STORAGE_ACCOUNT_NAME$"):
        storage_with("az://container")


def test_a_missing_file_of_google_s_credentials_is_told(storage_with: Maker, tmp_path: Path) -> None:
    variables = {"GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "none")}
    with pytest.raises(
        StorageError, match=r"^LIMNER_COPY_TO: the file of GOOGLE_APPLICATION_CREDENTIALS cannot"
    ):
        storage_with("gs://bucket", variables=variables)


LOADED = """
import sys
for name in sys.argv[2:]:
    sys.modules[name] = None
from config import Settings
from worker.copies.storage import StorageError, make_storage
try:
    make_storage(Settings(redis_url="redis://127.0.0.1", copy_to=sys.argv[1]))
except StorageError as error:
    print(error)
print(sorted({name.partition(".")[0] for name in sys.modules} & {"obstore", "boto3", "PIL"}))
"""


def loaded(copy_to: str, *absent: str) -> str:
    argv = [sys.executable, "-c", LOADED, copy_to, *absent]
    variables = {**os.environ, **NO_CLOUD}
    return subprocess.run(
        argv, cwd=ROOT, env=variables, capture_output=True, text=True, check=True, timeout=30
    ).stdout


def test_only_a_bucket_loads_obstore_and_nothing_loads_boto3_without_need() -> None:
    assert loaded("") == "[]\n"
    assert loaded("file:///srv/images") == "[]\n"
    assert loaded("s3://bucket") == "['obstore']\n"


def test_a_missing_obstore_is_told_with_the_extra_that_brings_it() -> None:
    line = "LIMNER_COPY_TO: s3:// needs the package obstore, which the extra `fleet` brings"
    assert loaded("s3://bucket", "obstore").splitlines()[0] == line


def test_a_profile_without_boto3_is_told(storage_with: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(StorageError, match=r"^AWS_PROFILE: needs the package boto3"):
        storage_with("s3://bucket", variables={"AWS_PROFILE": "shop"})
