"""Virtual environments with released packages, for programs that must not see ours."""

import os
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

__all__ = ["Unreachable", "environment"]

SECONDS: Final = 90.0
"""The longest time that an installation takes. From a cache it takes two seconds."""


class Unreachable(Exception):
    """No package registry gave the packages; the message is the installer's last line."""


def environment(folder: Path, *requirements: str) -> Path:
    """Make an environment with these requirements, and return its interpreter.

    They come from wherever pip and uv look by default. Raises Unreachable.
    """
    python = folder / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    errors = []
    for command in _installers(python):
        try:
            subprocess.run(
                [*command, *requirements],
                env={**os.environ, "UV_HTTP_TIMEOUT": "20"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=True,
                timeout=SECONDS,
            )
        except subprocess.CalledProcessError as error:
            errors += (error.stderr or "").strip().splitlines()[-1:]
        except subprocess.TimeoutExpired:
            errors.append(f"no end after {SECONDS:.0f} s")
        else:
            return python
    raise Unreachable("; ".join(errors))


def _installers(python: Path) -> list[Sequence[str]]:
    """The commands to try: uv takes a tenth of the time, and pip knows its own configuration."""
    uv = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", str(python), "--no-build"]
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--only-binary=:all:"]
    return [*([uv] if find_spec("uv") else []), [*pip, "--retries=1", "--timeout=20"]]
