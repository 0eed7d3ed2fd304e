"""``python -m sandbox up``: a local fleet that runs until it is stopped, and keeps its jobs between runs."""

import contextlib
import fcntl
import json
import os
import secrets
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Self

import typer
from dotenv import dotenv_values

from sandbox.kie.server import ProviderDied, SandboxProvider
from sandbox.local.fleet import CHECKOUT, PREFIX, FleetError, LocalFleet
from sandbox.local.ports import HOST
from sandbox.local.valkey import EmbeddedValkey, ValkeyError
from sandbox.processes.interrupts import Interrupted, interruptible

__all__ = ["up", "user_settings"]

FOLDER: Final = CHECKOUT / ".limner"
CHECK_SECONDS: Final = 1.0


class AlreadyUp(RuntimeError):
    """Another ``up`` uses this folder."""


@dataclass(frozen=True)
class Access:
    """The port and password of the Valkey, stored so that its URL stays the same after a restart."""

    port: int
    password: str

    @classmethod
    def kept_in(cls, path: Path) -> Self:
        """Read the file; if there is none, make one that only its owner can read."""
        if path.exists():
            return cls(**json.loads(path.read_text()))
        with socket.create_server((HOST, 0)) as free:
            access = cls(port=free.getsockname()[1], password=secrets.token_hex(16))
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(asdict(access), file)
        return access


def user_settings() -> dict[str, str]:
    """The LIMNER_* variables of the environment, or else of ``.env``, without empty ones."""
    variables: Mapping[str, str | None] = {**dotenv_values(CHECKOUT / ".env"), **os.environ}
    return {name: value for name, value in variables.items() if name.startswith(PREFIX) and value}


def up(
    workers: Annotated[int, typer.Option(min=1, help="How many worker processes.")] = 1,
    speed: Annotated[
        float, typer.Option(help="How much faster than the real provider the stand-in is.")
    ] = 1.0,
    folder: Annotated[Path, typer.Option(help="Where data and logs are kept.")] = FOLDER,
) -> None:
    """Run a local fleet until Ctrl-C: Valkey, the stand-in for kie.ai, workers, beat and callbacks.

    With LIMNER_API_KEY set, in the environment or in .env, the real provider draws, and takes its credits.
    With LIMNER_REDIS_URL set, that server is used.
    """
    try:
        with interruptible(), _alone_in(folder) as lock_file:
            _run(folder.resolve(), lock_file, workers, speed)
    except Interrupted:
        typer.echo(
            "Stopped. What waits goes on with the next start; the stand-in forgets what it was drawing."
        )
    except (AlreadyUp, FleetError, ProviderDied, ValkeyError, ValueError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


def _run(folder: Path, lock_file: Path, workers: int, speed: float) -> None:
    settings = user_settings()
    kept = None if "LIMNER_REDIS_URL" in settings else _kept_valkey(folder)
    real = "LIMNER_API_KEY" in settings
    if schedule := settings.get("LIMNER_SCHEDULE_FILE"):
        settings["LIMNER_SCHEDULE_FILE"] = str(CHECKOUT / schedule)
    settings.setdefault("LIMNER_COPY_TO", f"file://{folder}/images")
    if not real:
        settings.pop("LIMNER_API_URL", None)
    with LocalFleet(
        workers=workers,
        beat=True,
        # The real provider cannot reach this machine's loopback.
        callbacks=not real and "LIMNER_CALLBACK_URL" not in settings,
        settings=settings,
        valkey=kept,
        provider=None if real else SandboxProvider(speed=speed),
        log_dir=folder / "log",
    ) as fleet:
        _write_facts(lock_file, {"pid": os.getpid(), "redis_url": fleet.redis_url})
        typer.echo(_welcome(fleet))
        while True:
            time.sleep(CHECK_SECONDS)
            fleet.check()


def _kept_valkey(folder: Path) -> EmbeddedValkey:
    path = folder / "valkey.json"
    access = Access.kept_in(path)
    try:
        # Bound for a moment, only to distinguish a port in use from every other failure to start.
        socket.create_server((HOST, access.port)).close()
    except OSError as error:
        raise FleetError(
            f"Port {access.port}, where this fleet's Valkey was until now, is not free ({error.strerror}). "
            f"Stop what has it, or remove {path} for a new port and password."
        ) from None
    return EmbeddedValkey(data_dir=folder / "valkey", port=access.port, password=access.password)


def _welcome(fleet: LocalFleet) -> str:
    provider = (
        "the real provider, for credits" if fleet.provider is None else f"the stand-in, {fleet.api_url}"
    )
    receiver = "" if fleet.callbacks is None else " and a callback receiver"
    return "\n".join(
        [
            f"The fleet is up: {len(fleet.workers)} worker(s), beat{receiver}; images by {provider}.",
            f"Images are copied to {fleet.environment['LIMNER_COPY_TO']}",
            f"Logs: {fleet.log_dir}",
            "",
            "In another terminal, or in a backend's environment:",
            "",
            f"  export LIMNER_REDIS_URL='{fleet.redis_url}'",
            f'  {sys.executable} -m limner submit "a red kite over a salt flat"',
            "",
            "Ctrl-C stops it.",
        ]
    )


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "up.lock"
    # The kernel releases the lock when this process ends, even by SIGKILL; the file itself stays.
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyUp(_who_is_up(folder, file.read())) from None
        _write_facts(path, {"pid": os.getpid()})
        yield path


def _write_facts(lock_file: Path, facts: Mapping[str, Any]) -> None:
    lock_file.write_text(json.dumps(facts))


def _who_is_up(folder: Path, text: str) -> str:
    try:
        facts = json.loads(text)
    except ValueError:
        facts = {}  # the file was read between its truncation and its writing
    where = f" Use it: LIMNER_REDIS_URL={facts['redis_url']}" if "redis_url" in facts else ""
    return f"A fleet is up in {folder} already, as process {facts.get('pid', 'unknown')}.{where}"
