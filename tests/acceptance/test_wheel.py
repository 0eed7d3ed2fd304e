"""The wheel: what a web backend installs, which is neither Celery nor an HTTP client."""

import json
import subprocess
import sys
import venv
import zipfile
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.metadata import Metadata
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from limner import JobState, Limner
from sandbox.local.fleet import CHECKOUT

PRODUCER = """
import importlib.util, json, sys
from limner import Limner, TextToImage
job = Limner(sys.argv[1]).submit(TextToImage(prompt="from the wheel alone"))
wanted = ("celery", "kombu", "httpx", "typer", "config", "provider", "worker", "tasks", "sandbox", "tests")
found = [name for name in wanted if importlib.util.find_spec(name)]
print(json.dumps({"job": job.id, "found": found, "limner": importlib.util.find_spec("limner").origin}))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(folder),
        str(CHECKOUT),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Metadata:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return Metadata.from_email(archive.read(name))


def closure(requirements: list[Requirement]) -> dict[str, Distribution]:
    """The installed distributions that these need, and those that they need in turn, without extras."""
    found: dict[str, Distribution] = {}
    waiting = [*requirements]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in found or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        found[name] = distribution(name)
        waiting += map(Requirement, found[name].requires or [])
    return found


@pytest.fixture(scope="module")
def python(wheel: Path, metadata: Metadata, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that holds the wheel and what its metadata asks for."""
    folder = tmp_path_factory.mktemp("backend")
    venv.create(folder, symlinks=True)
    interpreter = folder / "bin" / "python"
    install = ["install", "--quiet", "--no-index", "--no-deps", "--disable-pip-version-check", str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", "--python", str(interpreter), *install], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    # No index is reached: the distributions are lent from the environment that runs the tests.
    for lent in closure(metadata.requires_dist or []).values():
        for name in {file.parts[0] for file in lent.files or []} - {"..", "__pycache__"}:
            (packages / name).symlink_to(Path(str(lent.locate_file(name))))
    return interpreter


def test_it_holds_limner_whole_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    package = CHECKOUT / "limner"
    assert names == {
        path.relative_to(CHECKOUT).as_posix()
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {"limner/py.typed", "limner/ledger/lua/submit.lua"} <= names


def test_its_metadata_say_what_it_is(metadata: Metadata) -> None:
    assert (metadata.name, metadata.license_expression) == ("limner", "MIT")
    assert metadata.license_files == ["LICENSE"]
    assert str(metadata.requires_python) == ">=3.11"
    assert metadata.description


def test_it_needs_pydantic_and_redis_only(metadata: Metadata) -> None:
    needed = [each.name for each in metadata.requires_dist or [] if not each.marker]
    assert sorted(needed) == ["pydantic", "redis"]


def test_a_backend_submits_with_the_wheel_alone(python: Path, valkey_url: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [python, "-I", "-c", PRODUCER, valkey_url], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["found"] == []
    assert Path(said["limner"]).is_relative_to(python.parent.parent)
    with Limner(valkey_url) as limner:
        assert limner.get(said["job"]).status().state is JobState.QUEUED
