"""Properties of the repository as a whole."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.repository import ROOT, committed

LOCKS = sorted((ROOT / "requirements").glob("*.lock"))
PIN = re.compile(
    r"^([\w.-]+)==([^\s;]+)(?: ; [^\\]+)? \\\n(?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+", re.MULTILINE
)
HOST = re.compile(r"\b(?:py[p]i|python[h]osted|n[p]mjs)\.(?:org|com)\b")
MACHINE = re.compile(r"(?<![\w.~-])/(?:root|work|home/\w+|Users/\w+)/")


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    """The committed text files by name."""
    names = committed()
    if not names:
        pytest.skip("an exported tree has no list of its files")
    contents = {name: (ROOT / name).read_bytes() for name in names}
    return {name: content.decode() for name, content in contents.items() if b"\0" not in content}


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def pins(lock: Path) -> dict[str, str]:
    return {canonicalize_name(name): version for name, version in PIN.findall(lock.read_text())}


@pytest.mark.parametrize("pattern", [HOST, MACHINE], ids=["registry", "machine"])
def test_no_file_contains_a_registry_or_a_path_of_a_machine(
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


def test_the_lock_satisfies_the_project_s_requirements(project: dict[str, Any]) -> None:
    required = [
        *project["project"]["dependencies"],
        *(line for extra in project["project"]["optional-dependencies"].values() for line in extra),
        *(line for group in project["dependency-groups"].values() for line in group),
    ]
    pinned = pins(ROOT / "requirements" / "dev.lock") | {"limner": project["project"]["version"]}
    for requirement in map(Requirement, required):
        version = pinned.get(canonicalize_name(requirement.name), "none")
        assert requirement.specifier.contains(version, prereleases=True), (
            f"{requirement}: {version}; make lock"
        )


def test_the_changelog_has_this_version(project: dict[str, Any]) -> None:
    version = re.escape(project["project"]["version"])
    assert re.search(rf"^## \[?{version}\b", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)


def test_every_target_of_the_makefile_is_explained() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^(\.?[a-z]+):", makefile, re.MULTILINE)
    explained = re.findall(r'@echo "make (\S+)', makefile)
    assert sorted(explained) == sorted({*targets} - {"help"})


@pytest.fixture(scope="module")
def workflow() -> dict[Any, Any]:
    """The workflow of continuous integration. YAML reads its key ``on`` as true."""
    parsed: dict[Any, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    return parsed


def test_the_workflow_runs_only_the_common_command_with_read_permission(workflow: dict[Any, Any]) -> None:
    assert workflow["permissions"] == {"contents": "read"}
    [job] = workflow["jobs"].values()
    assert "permissions" not in job
    assert [step["run"] for step in job["steps"] if "run" in step] == [".ci/run"]
    used = [step["uses"].split("@")[0] for step in job["steps"] if "uses" in step]
    assert used == ["actions/checkout", "actions/setup-python"]


def test_the_workflow_covers_every_python_and_system_of_the_classifiers(
    workflow: dict[Any, Any], project: dict[str, Any]
) -> None:
    promised = project["project"]["classifiers"]
    pythons = {
        name.rsplit(" ", 1)[1] for name in promised if name.startswith("Programming Language :: Python")
    }
    [job] = workflow["jobs"].values()
    matrix = job["strategy"]["matrix"]
    assert sorted(matrix["python"]) == sorted(pythons)
    systems = {*matrix["os"], *(entry["os"] for entry in matrix["include"])}
    assert {system.split("-")[0] for system in systems} == {"ubuntu", "macos"}
    assert {name.split(" :: ")[1] for name in promised if name.startswith("Operating System")} == {
        "MacOS",
        "POSIX",
    }


def test_every_hook_is_a_command_of_make_lint() -> None:
    lint = (ROOT / "Makefile").read_text().split("\nlint:", 1)[1].split("\n\n", 1)[0]
    [repo] = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repo["repo"] == "local"
    for hook in repo["hooks"]:
        program, *rest = hook["entry"].split()
        assert Path(program).parent == Path(".venv/bin")
        command = " ".join([Path(program).name, *(word for word in rest if not word.startswith("-"))])
        assert f"$(RUN) {command}" in lint
