"""The wheel, which several tests install."""

from pathlib import Path

import pytest

from release.archives import build
from sandbox.local.fleet import CHECKOUT


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build(CHECKOUT, folder, "wheel")
    (path,) = folder.glob("*.whl")
    return path
