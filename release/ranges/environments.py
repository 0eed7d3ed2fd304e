"""An environment outside of this one, with a wheel and chosen releases of other packages, from an index."""

import json
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path
from typing import Final

__all__ = ["Unresolvable", "installed", "make", "resolve"]

SECONDS: Final = 300.0
_LISTS: Final = """
import json
from importlib.metadata import distributions
print(json.dumps({each.metadata["Name"]: each.version for each in distributions()}))
"""


class Unresolvable(Exception):
    """Pip cannot install these requirements together; the message has what it said."""


def make(folder: Path, requirements: Sequence[str]) -> Path:
    """Install the requirements into a new environment, and return its interpreter.

    The index is the one that pip is set to. Raises :class:`Unresolvable`.
    """
    python = _empty(folder)
    _pip(python, "install", "--quiet", "--no-compile", *requirements)
    return python


def resolve(folder: Path, requirements: Sequence[str]) -> dict[str, str]:
    """The releases that pip would install together, by the name of the package; nothing is installed.

    Raises :class:`Unresolvable`.
    """
    report = folder / "report.json"
    options = ["--quiet", "--dry-run", "--report", str(report)]
    _pip(_empty(folder / "environment"), "install", *options, *requirements)
    described = [each["metadata"] for each in json.loads(report.read_text("utf-8"))["install"]]
    return {each["name"]: each["version"] for each in described}


def installed(python: Path) -> dict[str, str]:
    """The releases in an environment, by the name of the package."""
    told = subprocess.run([python, "-I", "-c", _LISTS], capture_output=True, text=True, check=True).stdout
    releases: dict[str, str] = json.loads(told)
    return releases


def _empty(folder: Path) -> Path:
    venv.create(folder, symlinks=True)
    return folder / "bin" / "python"


def _pip(python: Path, command: str, *arguments: str) -> None:
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check"]
    run = subprocess.run(
        [*pip, command, *arguments], capture_output=True, text=True, check=False, timeout=SECONDS
    )
    if run.returncode:
        raise Unresolvable(f"pip {command} {' '.join(arguments)}\n{run.stdout}{run.stderr}")
