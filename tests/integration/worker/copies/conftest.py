"""Stores, and files to put into them."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from config import Settings
from tests.integration.worker.copies import servers
from worker.copies.storage import Storage, make_storage

CLOUDS = ("AWS_", "GOOGLE_", "AZURE_")

Maker = Callable[..., Storage]


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """An environment without credentials, and a home without files of them."""
    for name in list(os.environ):
        if name.startswith(CLOUDS):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
    # Loopback needs no proxy.
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.S3]:
    with servers.s3(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def storage_with(monkeypatch: pytest.MonkeyPatch) -> Maker:
    """A function that makes a storage from settings and variables of credentials."""

    def maker(copy_to: str, *, variables: dict[str, str] | None = None, **settings: object) -> Storage:
        for name, value in (variables or {}).items():
            monkeypatch.setenv(name, value)
        made = make_storage(
            Settings.model_validate({"redis_url": "redis://127.0.0.1", "copy_to": copy_to, **settings})
        )
        assert made is not None
        return made

    return maker


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A file of 12 MiB and one byte, which no two parts have in common."""
    path = tmp_path / "large"
    path.write_bytes(os.urandom(12 * 2**20 + 1))
    return path
