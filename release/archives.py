"""The source distribution and the wheel: building, listing and installing them."""

import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from collections.abc import Iterable, Mapping
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Final, Literal

from packaging.metadata import Metadata
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

__all__ = [
    "build",
    "install",
    "metadata_of",
    "sources_in",
    "wanted_in_sdist",
    "wanted_in_wheel",
    "wheel_files",
]

BACKEND: Final = Requirement("hatchling")


def build(
    source: Path, folder: Path, *kinds: Literal["sdist", "wheel"], env: Mapping[str, str] | None = None
) -> None:
    """Build archives into ``folder``: by default both, the wheel from the unpacked source distribution.

    The backend is the one of this environment, so no index is used. Raises CalledProcessError.
    """
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder)]
    options = [f"--{kind}" for kind in kinds]
    subprocess.run([*command, *options, str(source)], check=True, stdout=subprocess.DEVNULL, env=env)


def wheel_files(wheel: Path) -> set[str]:
    """The files in a wheel, without its metadata."""
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def wanted_in_wheel(source: Path) -> set[str]:
    """The files that a wheel must hold: the whole package with its Lua scripts."""
    return _files(source, ["limner"])


def sources_in(sdist: Path) -> set[str]:
    """The files in a source distribution."""
    with tarfile.open(sdist) as archive:
        return {name.partition("/")[2] for name in archive.getnames()}


def wanted_in_sdist(source: Path) -> set[str]:
    """The files that a source distribution must hold: those that pyproject.toml includes or a build needs."""
    project = tomllib.loads((source / "pyproject.toml").read_text("utf-8"))
    included = project["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    return _files(source, [name.removeprefix("/") for name in included]) | {
        "pyproject.toml",
        "PKG-INFO",
        ".gitignore",
    }


def _files(source: Path, names: Iterable[str]) -> set[str]:
    paths = [path for name in names for path in (source / name, *(source / name).rglob("*"))]
    return {
        path.relative_to(source).as_posix()
        for path in paths
        if path.is_file() and "__pycache__" not in path.parts
    }


def metadata_of(wheel: Path) -> Metadata:
    """A wheel's metadata."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return Metadata.from_email(archive.read(name))


def install(archive: Path, needed: Iterable[Requirement], folder: Path) -> Path:
    """Install an archive into a new environment in ``folder``, and return the interpreter there.

    No index is used: ``needed`` and their dependencies are linked from the environment that runs this.
    """
    venv.create(folder, symlinks=True)
    interpreter = folder / "bin" / "python"
    (packages,) = folder.glob("lib/python*/site-packages")
    for installed in _closure([*needed]).values():
        for name in {file.parts[0] for file in installed.files or []} - {"..", "__pycache__"}:
            (packages / name).symlink_to(Path(str(installed.locate_file(name))))
    pip = [sys.executable, "-m", "pip", "--python", str(interpreter), "--disable-pip-version-check"]
    options = ["--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "install", *options, str(archive)], check=True)
    return interpreter


def _closure(requirements: list[Requirement]) -> dict[str, Distribution]:
    """The installed distributions of these requirements and of their dependencies, without extras."""
    closure: dict[str, Distribution] = {}
    waiting = [*requirements]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in closure or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        closure[name] = distribution(name)
        waiting += map(Requirement, closure[name].requires or [])
    return closure
