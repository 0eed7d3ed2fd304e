"""An environment with only the variables that a test sets."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from config import Settings, load, settings

REDIS_URL = "redis://127.0.0.1:6379/0"

Loader = Callable[..., Settings]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, from which ``.env`` is read."""
    for name in os.environ:
        if name.upper().startswith(settings.PREFIX):
            monkeypatch.delenv(name)
    monkeypatch.setattr(settings, "DEFAULT_SECRETS_DIR", str(tmp_path / "no-secrets"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def secrets(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of secrets."""
    path = folder / "secrets"
    path.mkdir()
    monkeypatch.setenv(settings.SECRETS_VARIABLE, str(path))
    return path


@pytest.fixture
def load_with(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Loader:
    """A function that loads settings with variables, named without their prefix, and a default Redis URL."""

    def loader(**variables: str) -> Settings:
        for name, value in {"REDIS_URL": REDIS_URL, **variables}.items():
            monkeypatch.setenv(settings.PREFIX + name, value)
        return load()

    return loader
