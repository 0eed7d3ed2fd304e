"""The commit that is released: its version, and the checks that it must pass."""

import re
import subprocess
import tomllib
from datetime import date
from pathlib import Path
from typing import Final

__all__ = ["Refused", "checked_version"]

_NEWEST: Final = re.compile(r"^## (\S+)(?: \((.*)\))?$", re.MULTILINE)


class Refused(Exception):
    """The commit, or an archive built from it, cannot be released; the message says what to do."""


def checked_version(root: Path) -> str:
    """The version of the commit that is checked out.

    Raises :class:`Refused` if something is not committed, if the changelog does not date this version as its
    newest, or if a tag gives the version to another commit, or the commit another version.
    """
    if changes := _git(root, "status", "--porcelain"):
        raise Refused(f"commit these first, or remove them:\n{changes}")
    version: str = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    _check_changelog((root / "CHANGELOG.md").read_text("utf-8"), version)
    _check_tags(root, version)
    return version


def _check_changelog(text: str, version: str) -> None:
    newest = _NEWEST.search(text)
    if newest is None or newest[1] != version:
        state = f"is {newest[1]}" if newest else "is missing"
        raise Refused(f"pyproject.toml says {version}, and the newest heading of CHANGELOG.md {state}")
    try:
        date.fromisoformat(newest[2] or "")
    except ValueError:
        raise Refused(
            f"CHANGELOG.md does not date {version}: write '## {version} (YEAR-MONTH-DAY)'"
        ) from None


def _check_tags(root: Path, version: str) -> None:
    here = [tag for tag in _git(root, "tag", "--points-at", "HEAD").splitlines() if tag.startswith("v")]
    if others := [tag for tag in here if tag != f"v{version}"]:
        raise Refused(f"this commit has the tag {others[0]}, and pyproject.toml says {version}")
    if not here and _git(root, "tag", "--list", f"v{version}"):
        raise Refused(f"v{version} is the tag of another commit: raise the version, or check that tag out")


def _git(root: Path, *arguments: str) -> str:
    result = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True)
    return result.stdout.rstrip()
