"""What holds for the repository as a whole."""

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.paths import ROOT

LOCKS = sorted((ROOT / "requirements").glob("*.lock"))
PIN = re.compile(
    r"^([\w.-]+)==([^\s;]+)(?: ; [^\\]+)? \\\n(?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+", re.MULTILINE
)
HOST = re.compile(r"\b(?:py[p]i|python[h]osted|n[p]mjs)\.(?:org|com)\b")
MACHINE = re.compile(r"(?<![\w.~-])/(?:root|work|home/\w+|Users/\w+)/")


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    """The text files that are committed, or would be."""
    if not (ROOT / ".git").exists():
        pytest.skip("an exported tree has no list of its files")
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found = {}
    for name in filter(None, listed.split("\0")):
        content = (ROOT / name).read_bytes() if (ROOT / name).is_file() else b"\0"
        if b"\0" not in content:
            found[name] = content.decode()
    return found


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def pins(lock: Path) -> dict[str, str]:
    return {canonicalize_name(name): version for name, version in PIN.findall(lock.read_text())}


@pytest.mark.parametrize("pattern", [HOST, MACHINE], ids=["registry", "machine"])
def test_no_file_names_a_registry_or_a_place_on_somebody_s_machine(
    texts: dict[str, str], pattern: re.Pattern[str]
) -> None:
    assert {name: found[0] for name, text in texts.items() if (found := pattern.search(text))} == {}


def test_no_key_and_no_env_file_is_committed(texts: dict[str, str]) -> None:
    assert {name for name in texts if Path(name).name == ".env" or name.startswith("secrets/")} == set()


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_pins_every_line_by_hash_and_names_no_index(lock: Path) -> None:
    text = lock.read_text()
    rest = re.sub(r"^ +#.*\n", "", PIN.sub("", text), flags=re.MULTILINE)
    assert pins(lock)
    assert rest == ""
    assert "://" not in text


def test_the_locks_pin_the_same_releases() -> None:
    every = pins(ROOT / "requirements" / "dev.lock")
    assert {lock.name for lock in LOCKS} == {"dev.lock", "local.lock", "fleet.lock"}
    for lock in LOCKS:
        assert pins(lock).items() <= every.items()


def test_the_lock_satisfies_what_the_project_asks_for(project: dict[str, Any]) -> None:
    asked = [
        *project["project"]["dependencies"],
        *(line for extra in project["project"]["optional-dependencies"].values() for line in extra),
        *(line for group in project["dependency-groups"].values() for line in group),
    ]
    pinned = pins(ROOT / "requirements" / "dev.lock") | {"limner": project["project"]["version"]}
    for requirement in map(Requirement, asked):
        version = pinned.get(canonicalize_name(requirement.name), "none")
        assert requirement.specifier.contains(version, prereleases=True), (
            f"{requirement}: {version}; make lock"
        )


def test_the_changelog_tells_of_this_version(project: dict[str, Any]) -> None:
    version = re.escape(project["project"]["version"])
    assert re.search(rf"^## \[?{version}\b", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)


def test_every_target_of_the_makefile_is_explained() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^(\.?[a-z]+):", makefile, re.MULTILINE)
    explained = re.findall(r'@echo "make (\S+)', makefile)
    assert sorted(explained) == sorted({*targets} - {"help"})
