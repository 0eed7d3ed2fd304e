"""The wheel, which a web backend installs without Celery and without an HTTP client."""

import json
import subprocess
from pathlib import Path

import pytest
from packaging.metadata import Metadata
from packaging.requirements import Requirement

from limner import JobState, Limner
from release.archives import install, metadata_of, wanted_in_wheel, wheel_files
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
def metadata(wheel: Path) -> Metadata:
    return metadata_of(wheel)


@pytest.fixture(scope="module")
def python(wheel: Path, metadata: Metadata, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the wheel and the requirements of its metadata."""
    return install(wheel, metadata.requires_dist or [], tmp_path_factory.mktemp("backend"))


def test_the_wheel_contains_exactly_the_limner_package(wheel: Path) -> None:
    names = wheel_files(wheel)
    assert names == wanted_in_wheel(CHECKOUT)
    assert {"limner/py.typed", "limner/ledger/lua/submit.lua"} <= names


def test_the_metadata_has_name_license_and_python_version(metadata: Metadata) -> None:
    assert (metadata.name, metadata.license_expression) == ("limner", "MIT")
    assert metadata.license_files == ["LICENSE"]
    assert str(metadata.requires_python) == ">=3.11"
    assert metadata.description


def test_the_wheel_requires_only_pydantic_and_redis(metadata: Metadata) -> None:
    needed = [requirement.name for requirement in metadata.requires_dist or [] if not requirement.marker]
    assert sorted(needed) == ["pydantic", "redis"]


def test_the_command_of_the_wheel_asks_for_its_extra(python: Path, tmp_path: Path) -> None:
    run = subprocess.run(
        [python.with_name("limner"), "--version"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stdout) == (2, "")
    assert 'needs its extra. Install limner again, from where it came from: pip install "/path' in run.stderr


def test_the_command_of_the_wheel_is_the_command_line(
    wheel: Path, metadata: Metadata, tmp_path: Path
) -> None:
    needed = [*(metadata.requires_dist or []), *map(Requirement, ("typer", "rich"))]
    command = install(wheel, needed, tmp_path / "cli").with_name("limner")
    version = subprocess.check_output([command, "--version"], cwd=tmp_path, text=True)
    assert version == f"limner {metadata.version}\n"
    asked = [str(command), "--json", "status", "x", "--redis-url", "redis://127.0.0.1:1/0"]
    run = subprocess.run(asked, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (run.returncode, json.loads(run.stderr)["error"]) == (5, "StoreUnavailable")
    usage = subprocess.check_output([command, "submit", "--help"], cwd=tmp_path, text=True)
    assert usage.strip().startswith("Usage: limner submit ")


def test_the_version_in_python_is_the_one_of_the_wheel(
    python: Path, metadata: Metadata, tmp_path: Path
) -> None:
    program = "import limner; print(limner.__version__)"
    version = subprocess.check_output([python, "-I", "-c", program], cwd=tmp_path, text=True)
    assert version.strip() == str(metadata.version)


def test_a_backend_submits_with_the_wheel_alone(python: Path, valkey_url: str, tmp_path: Path) -> None:
    run = subprocess.run(
        [python, "-I", "-c", PRODUCER, valkey_url], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    report = json.loads(run.stdout)
    assert report["found"] == []
    assert Path(report["limner"]).is_relative_to(python.parent.parent)
    with Limner(valkey_url) as limner:
        assert limner.get(report["job"]).status().state is JobState.QUEUED
