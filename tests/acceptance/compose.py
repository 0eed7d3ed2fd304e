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
HOSTS: Final = re.compile(r"\b0\.0\.0\.0\b|(?<=//|.@)(redis|sandbox|callbacks)(?=:)")
FOLDERS: Final = re.compile(r"(?:(?<![\w/.])|(?<=file://))/(tmp|data|var/tmp|srv/images)\b")
PLAIN_HOST: Final = re.compile(r"\bsandbox\b")
INTERPOLATION: Final = re.compile(r"\$\$|\$\{(\w+)(?::([-?])([^}]*))?\}")
# The package of the embedded server has no command line client.
CLIENT: Final = """#!/bin/sh
[ "$1 $2 $4" = "-e -p ping" ] || exit 2
exec {python} -c "import os, redis; redis.Redis(port=$3, password=os.environ.get('REDISCLI_AUTH')).ping()"
"""


class ComposeError(Exception):
    """The reason for which compose refuses the file."""


def services() -> dict[str, dict[str, Any]]:
    """The services by name, as in the file."""
    document = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text())
    return dict(document["services"])


def networks() -> dict[str, dict[str, Any]]:
    """The networks by name, as in the file."""
    document = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text())
    return dict(document["networks"])


def named_volumes() -> set[str]:
    """The names of the volumes, as in the file."""
    document = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text())
    return set(document["volumes"])


def interpolated(text: str, variables: Mapping[str, str]) -> str:
    """The text as compose reads it with these variables; raises ComposeError if a required one is missing."""

    def value(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        name, kind, rest = match.groups()
        if variables.get(name):
            return variables[name]
        if kind == "?":
            raise ComposeError(f"required variable {name} is missing a value: {rest}")
        return rest or ""

    return INTERPOLATION.sub(value, text)


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
    """A folder in which services run, the ports that replace the containers', and the variables of .env."""

    folder: Path
    ports: Mapping[str, int]
    variables: Mapping[str, str]

    def start(self, name: str, *more: str) -> Child:
        """Run the command of a service, with ``more`` arguments."""
        with self.log(name).open("wb") as output:
            return Child(
                [*self._mapped(services()[name]["command"]), *more],
                env=self.environment(name),
                cwd=self.app(name),
                output=output,
            )

    def probe(self, name: str) -> str | None:
        """Run the health check of a service once; returns its output if the service is unhealthy."""
        check = services()[name]["healthcheck"]
        kind, *command = check["test"]
        assert kind == "CMD"
        try:
            ended = subprocess.run(
                self._mapped(command),
                env=self.environment(name),
                cwd=self.app(name),
                capture_output=True,
                text=True,
                timeout=seconds(check["timeout"]),
                check=False,
            )
        except subprocess.TimeoutExpired:
            return "no answer in time"
        return None if ended.returncode == 0 else f"{ended.returncode}: {ended.stdout}{ended.stderr}"

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
        word = HOSTS.sub("127.0.0.1", interpolated(word, self.variables))
        for port in PORTS:
            word = re.sub(rf"(?<!\d){port}(?!\d)", str(self.ports[port]), word)
        return FOLDERS.sub(rf"{self.folder}/\1", word)

    def environment(self, name: str) -> dict[str, str]:
        """The variables of a service, and those with which its programs are found here."""
        service = services()[name]
        given = service.get("environment", {})
        variables = {
            variable: self.variables.get(variable) if value is None else value
            for variable, value in given.items()
        }
        secrets = self.folder / ("secrets" if "secrets" in service else "no-secrets")
        return {
            "PATH": os.pathsep.join([str(self._programs()), str(Path(sys.executable).parent), os.defpath]),
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder / "tmp"),
            **image_environment(),
            "LIMNER_SECRETS_DIR": str(secrets),
            **{variable: self._map(value) for variable, value in variables.items() if value is not None},
            **self._plain_hosts(variables),
        }

    def _plain_hosts(self, variables: Mapping[str, str | None]) -> dict[str, str]:
        name = "LIMNER_COPY_PLAIN_HOSTS"
        return {name: PLAIN_HOST.sub("127.0.0.1", hosts)} if (hosts := variables.get(name)) else {}

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
