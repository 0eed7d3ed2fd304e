"""docker-compose.yml and Dockerfile as data, and their services as processes on this machine.

No container engine is needed: in each command and variable, a container's hosts are replaced by 127.0.0.1,
its ports by free ones, and its folders by temporary ones.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from sandbox.local.fleet import CHECKOUT
from sandbox.local.valkey_program import find_server
from sandbox.processes.children import Child

PORTS: Final = ("6379", "8080", "8090", "5555")
HOSTS: Final = re.compile(r"\b0\.0\.0\.0\b|(?<=//)(redis|sandbox|callbacks)(?=:)")
INTERPOLATION: Final = re.compile(r"\$\{\w+:-(\w+)\}")
PROBE_SECONDS: Final = 20.0
# The package of the embedded server has no command line client.
CLIENT: Final = """#!/bin/sh
[ "$1 $2 $4" = "-e -p ping" ] || exit 2
exec {python} -c "import redis; redis.Redis(port=$3).ping()"
"""


def services() -> dict[str, dict[str, Any]]:
    """The services by name, as in the file."""
    document = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text())
    return dict(document["services"])


def copied(target: str) -> set[str]:
    """The folders that the Dockerfile copies from the checkout into a target."""
    stage, folders = "", set()
    for line in (CHECKOUT / "Dockerfile").read_text().splitlines():
        if start := re.match(r"FROM \S+ AS (\S+)", line):
            stage = start[1]
        elif stage == target and (copy := re.match(r"COPY (?!--from)(\S+) (\S+)$", line)):
            assert copy[1] == copy[2]
            folders.add(copy[1])
    return folders


def image_environment() -> dict[str, str]:
    """The variables that the Dockerfile sets for Python."""
    return dict(
        re.findall(r"(?:ENV|^ +) ?(PYTHON\w+)=(\S+)", (CHECKOUT / "Dockerfile").read_text(), re.MULTILINE)
    )


@dataclass(frozen=True)
class Stack:
    """A folder in which services run, and the ports that replace the containers'."""

    folder: Path
    ports: Mapping[str, int]
    env_file: Mapping[str, str]

    def start(self, name: str, *more: str) -> Child:
        """Run the command of a service, with ``more`` arguments."""
        with self.log(name).open("wb") as output:
            return Child(
                [*self._mapped(services()[name]["command"]), *more],
                env=self._environment(name),
                cwd=self.app(name),
                output=output,
            )

    def probe(self, name: str) -> "subprocess.CompletedProcess[str]":
        """Run the health check of a service once."""
        kind, *command = services()[name]["healthcheck"]["test"]
        assert kind == "CMD"
        return subprocess.run(
            self._mapped(command),
            env=self._environment(name),
            cwd=self.app(name),
            capture_output=True,
            text=True,
            timeout=PROBE_SECONDS,
            check=False,
        )

    def app(self, name: str) -> Path:
        """The image's /app, with only the folders that the Dockerfile copies for the service's target."""
        target: str = services()[name].get("build", {}).get("target", "none")
        app = self.folder / "app" / target
        if not app.exists():
            app.mkdir(parents=True)
            for folder in copied(target):
                shutil.copytree(CHECKOUT / folder, app / folder, ignore=shutil.ignore_patterns("__pycache__"))
        return app

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def _mapped(self, words: Sequence[str]) -> list[str]:
        return [self._map(word) for word in words]

    def _map(self, word: str) -> str:
        word = HOSTS.sub("127.0.0.1", INTERPOLATION.sub(r"\1", word))
        for port in PORTS:
            word = re.sub(rf"(?<!\d){port}(?!\d)", str(self.ports[port]), word)
        return re.sub(r"^/(tmp|data)\b", rf"{self.folder}/\1", word)

    def _environment(self, name: str) -> dict[str, str]:
        service = services()[name]
        from_files = self.env_file if "env_file" in service else {}
        variables = {**from_files, **service.get("environment", {})}
        secrets = self.folder / ("secrets" if "secrets" in service else "no-secrets")
        return {
            "PATH": os.pathsep.join([str(self._programs()), str(Path(sys.executable).parent), os.defpath]),
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder / "tmp"),
            **image_environment(),
            "LIMNER_SECRETS_DIR": str(secrets),
            **{variable: self._map(value) for variable, value in variables.items()},
        }

    def _programs(self) -> Path:
        programs = self.folder / "programs"
        if not programs.exists():
            programs.mkdir()
            (programs / "valkey-server").symlink_to(find_server())
            (programs / "valkey-cli").write_text(CLIENT.format(python=shlex.quote(sys.executable)))
            (programs / "valkey-cli").chmod(0o755)
        return programs


def seconds(duration: str) -> int:
    """The seconds of a duration in compose's form, such as ``60s``."""
    assert duration.endswith("s")
    return int(duration.removesuffix("s"))
