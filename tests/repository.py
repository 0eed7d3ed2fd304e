"""The files of the repository."""

import subprocess
from pathlib import Path
from typing import Final

__all__ = ["ROOT", "committed"]

ROOT: Final = Path(__file__).parents[1]


def committed() -> list[str]:
    """The paths of committed files and of new ones that are not ignored; none in an exported tree."""
    if not (ROOT / ".git").exists():
        return []
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return sorted(name for name in set(filter(None, listed.split("\0"))) if (ROOT / name).is_file())
