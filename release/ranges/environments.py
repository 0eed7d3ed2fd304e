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


class Unresolvable(Exception):
    """Pip cannot install these requirements together; the message has what it said."""


def make(folder: Path, requirements: Sequence[str]) -> Path:
    """Install the requirements into a new environment, and return its interpreter.

    The index is the one that pip is set to. Raises :class:`Unresolvable`.
    """
    python = _empty(folder)
    _pip(python, "install", "--quiet", "--no-compile", *requirements)
    _pip(python, "check")
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
    listed = json.loads(_pip(python, "list", "--format", "json"))
    return {each["name"]: each["version"] for each in listed}


def _empty(folder: Path) -> Path:
    venv.create(folder, symlinks=True)
    return folder / "bin" / "python"


def _pip(python: Path, command: str, *arguments: str) -> str:
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check"]
    run = subprocess.run(
        [*pip, command, *arguments], capture_output=True, text=True, check=False, timeout=SECONDS
    )
    if run.returncode:
        raise Unresolvable(f"pip {command} {' '.join(arguments)}\n{run.stdout}{run.stderr}")
    return run.stdout
