"""A complete fleet of real processes on this machine: Valkey, the stand-in for kie.ai, and Limner's own."""

import atexit
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

import httpx

from sandbox.kie.server import SandboxProvider
from sandbox.local.valkey import EmbeddedValkey
from sandbox.processes.checkout import CHECKOUT, with_checkout
from sandbox.processes.children import Child

__all__ = ["CHECKOUT", "FleetError", "FleetProcess", "LocalFleet"]

PREFIX: Final = "LIMNER_"
START_SECONDS: Final = 60.0  # one worker is ready in 1 s, a dozen at once on a busy CI machine take longer
DRAIN_SECONDS: Final = 10.0
HEALTH_SECONDS: Final = 2.0
TAIL_LINES: Final = 15

_QUIET: Final = ("--without-gossip", "--without-mingle", "--without-heartbeat")


class FleetError(RuntimeError):
    """A process of the fleet ended by itself or did not become ready; the message has the tail of its log."""


@dataclass(frozen=True)
class FleetProcess:
    """A worker, beat, or the callback receiver."""

    name: str
    log: Path
    """The file with its standard output and standard error."""
    child: Child = field(repr=False)
    is_ready: Callable[[], bool] = field(repr=False)

    @property
    def pid(self) -> int:
        return self.child.pid

    @property
    def running(self) -> bool:
        return self.child.running

    def check(self) -> None:
        """Check that the process runs. Raises :class:`FleetError` if it has ended."""
        if not self.running:
            raise FleetError(f"{self.name} ended with status {self.child.returncode}.\n{self.tail()}")

    def tail(self) -> str:
        """The last lines of the process' log."""
        lines = self.log.read_text(errors="replace").splitlines()[-TAIL_LINES:]
        return "\n".join([f"The end of {self.log}:", *lines])

    def wait_until_ready(self, deadline: float) -> None:
        """Wait until the process is ready.

        Raises :class:`FleetError` if it ends, or is not ready at ``deadline`` (of ``time.monotonic``).
        """
        while not self.is_ready():
            self.check()
            if time.monotonic() > deadline:
                raise FleetError(
                    f"{self.name} did not get ready within {START_SECONDS:.0f} s.\n{self.tail()}"
                )
            time.sleep(0.02)
        self.check()


class LocalFleet:
    """A fleet on loopback, as a context manager::

        with LocalFleet(workers=2, provider=SandboxProvider(speed=20)) as fleet:
            Limner(fleet.redis_url).submit("a red kite")

    ``settings`` are LIMNER_* variables of Limner's processes, which inherit none from this one and read no
    ``.env``. The settings also decide which servers are started: the embedded Valkey unless they have
    LIMNER_REDIS_URL, and the stand-in unless they have LIMNER_API_URL or LIMNER_API_KEY. ``valkey`` and
    ``provider``, not yet started, replace the default servers, and are started regardless of the settings.
    With ``callbacks`` there is a receiver, and the workers ask the provider to call it; if the stand-in
    signs, the receiver gets its key. With LIMNER_COPY_TO, the workers may fetch images from the stand-in.

    Logs go to ``log_dir``, or to a temporary folder that is removed with the fleet. Every process has its own
    session, so Ctrl-C in a terminal reaches only this one, and none outlives it.
    """

    def __init__(
        self,
        *,
        workers: int = 1,
        beat: bool = False,
        callbacks: bool = False,
        settings: Mapping[str, str] | None = None,
        valkey: EmbeddedValkey | None = None,
        provider: SandboxProvider | None = None,
        log_dir: Path | None = None,
        log_level: str = "INFO",
    ) -> None:
        self._settings = dict(settings or {})
        self.valkey = valkey or (None if self._settings.get("LIMNER_REDIS_URL") else EmbeddedValkey())
        """The embedded Valkey; None if the settings name another server."""
        real = self._settings.get("LIMNER_API_URL") or self._settings.get("LIMNER_API_KEY")
        self.provider = provider or (None if real else SandboxProvider())
        """The stand-in for kie.ai; None if the settings name another provider."""
        self._initial_workers = workers
        self._with_beat = beat
        self._with_callbacks = callbacks
        self._log_dir = log_dir
        self._log_level = log_level
        self._owner = os.getpid()
        self._temporary: Path | None = None
        self._workers: list[FleetProcess] = []
        self._beat: FleetProcess | None = None
        self._callbacks: FleetProcess | None = None
        self._listener: socket.socket | None = None
        self._environment: dict[str, str] = {}

    @property
    def environment(self) -> Mapping[str, str]:
        """The LIMNER_* variables that connect a process to this fleet."""
        return MappingProxyType(self._environment)

    @property
    def redis_url(self) -> str:
        return self._environment["LIMNER_REDIS_URL"]

    @property
    def api_url(self) -> str | None:
        """The workers' URL of the provider; None for the real one at its usual address."""
        return self._environment.get("LIMNER_API_URL")

    @property
    def workers(self) -> Sequence[FleetProcess]:
        """Every worker ever started, in order, including killed ones."""
        return tuple(self._workers)

    @property
    def beat(self) -> FleetProcess | None:
        return self._beat

    @property
    def callbacks(self) -> FleetProcess | None:
        """The callback receiver, even after it was killed."""
        return self._callbacks

    @property
    def log_dir(self) -> Path:
        return self._log_dir or self._work_dir / "log"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> Self:
        """Start everything and wait until it is ready.

        Raises :class:`FleetError`, or an error of the Valkey or the stand-in.
        """
        atexit.register(self.stop)
        self._temporary = Path(tempfile.mkdtemp(prefix="limner-fleet-"))
        try:
            self.log_dir.mkdir(parents=True, exist_ok=True)
            self._environment = self._start_servers()
            if self._with_callbacks:
                self._listen()
                self._callbacks = self._spawn_callbacks()
            workers = [self._spawn_worker() for _ in range(self._initial_workers)]
            if self._with_beat:
                self._beat = self._spawn_beat()
            self._wait_for([*workers, *filter(None, [self._beat, self._callbacks])])
        except BaseException:
            self.stop()
            raise
        return self

    def start_worker(
        self, *, settings: Mapping[str, str] | None = None, arguments: Sequence[str] = ()
    ) -> FleetProcess:
        """Start one more worker and wait until it is ready. Raises :class:`FleetError`.

        ``settings`` are variables for this worker alone, and ``arguments`` go to its ``celery worker``.
        """
        worker = self._spawn_worker(settings or {}, arguments)
        self._wait_for([worker])
        return worker

    def kill_worker(self, index: int) -> None:
        """Kill a worker (SIGKILL) and wait until it has ended."""
        self._workers[index].child.kill()

    def start_callbacks(self) -> FleetProcess:
        """Restart the callback receiver at the same address and wait until it is ready.

        Raises :class:`FleetError`, also if the fleet was made without callbacks.
        """
        if self._callbacks is None:
            raise FleetError("This fleet has no callbacks: make it with callbacks=True.")
        self.kill_callbacks()
        self._callbacks = self._spawn_callbacks()
        self._wait_for([self._callbacks])
        return self._callbacks

    def kill_callbacks(self) -> None:
        """Kill the callback receiver (SIGKILL), if there is one, and wait until it has ended.

        Its address stays open: callbacks wait there until the receiver is restarted.
        """
        if self._callbacks is not None:
            self._callbacks.child.kill()

    def check(self) -> None:
        """Check all processes. Raises :class:`FleetError` if a worker, beat, or the receiver has ended."""
        for process in filter(None, [*self._workers, self._beat, self._callbacks]):
            process.check()

    def stop(self) -> None:
        """Stop beat, then the workers after their current tasks (10 s at most), then the servers."""
        if os.getpid() != self._owner:
            return  # a forked copy of the owner runs the same atexit handlers
        _end(filter(None, [self._beat]))
        _end(self._workers)
        _end(filter(None, [self._callbacks]))
        self._beat = self._callbacks = None
        self._workers.clear()
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        if self.provider is not None:
            self.provider.stop()
        if self.valkey is not None:
            self.valkey.stop()
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)
            self._temporary = None
        atexit.unregister(self.stop)  # last, so that an interrupted stop is repeated when Python ends

    @property
    def _work_dir(self) -> Path:
        if self._temporary is None:
            raise FleetError("The fleet was not started: call start() or use it in a with statement.")
        return self._temporary

    def _start_servers(self) -> dict[str, str]:
        environment = {
            "LIMNER_SCHEDULE_FILE": str(CHECKOUT / "config" / "schedule.toml"),
            **self._settings,
        }
        if self.valkey is not None:
            environment["LIMNER_REDIS_URL"] = self.valkey.start().url
        if self.provider is not None:
            with (self.log_dir / "provider.log").open("ab") as output:
                environment["LIMNER_API_URL"] = self.provider.start(output=output).url
            if "LIMNER_ACCOUNTS" not in environment:
                environment["LIMNER_API_KEY"] = min(self.provider.options.accepted_keys)
            if environment.get("LIMNER_COPY_TO"):
                # It serves images without TLS and from loopback, which workers refuse of any other host.
                files = urlsplit(self.provider.options.public_url or self.provider.url).netloc
                hosts = environment.get("LIMNER_COPY_PLAIN_HOSTS", "")
                environment["LIMNER_COPY_PLAIN_HOSTS"] = f"{hosts},{files}".strip(",")
        return environment

    def _listen(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
        # Accepted connections inherit this option, which uvicorn does not set on a socket that is passed to
        # it. Without it every answer, written as head and body, waits 40 ms for the client's delayed
        # acknowledgement.
        self._listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._environment["LIMNER_CALLBACK_URL"] = address
        if self.provider is not None and self.provider.options.hmac_key:
            self._environment["LIMNER_CALLBACK_HMAC_KEY"] = self.provider.options.hmac_key

    def _spawn_callbacks(self) -> FleetProcess:
        if self._listener is None:
            raise FleetError("The fleet was not started: call start() or use it in a with statement.")
        number = self._listener.fileno()
        options = ["--fd", str(number), "--no-access-log", "--timeout-graceful-shutdown", "5"]
        return self._spawn(
            "callbacks",
            ["uvicorn", "worker.callbacks:app", *options],
            lambda: _is_healthy(self._environment["LIMNER_CALLBACK_URL"]),
            pass_fds=[number],
        )

    def _spawn_worker(
        self, settings: Mapping[str, str] = MappingProxyType({}), arguments: Sequence[str] = ()
    ) -> FleetProcess:
        name = f"worker-{len(self._workers) + 1}"
        heartbeat = self._work_dir / f"{name}.heartbeat"
        worker = self._spawn(
            name,
            self._celery("worker", "-n", f"{name}@%h", *_QUIET, *arguments),
            heartbeat.exists,
            {"LIMNER_HEARTBEAT_FILE": str(heartbeat), **settings},
        )
        self._workers.append(worker)
        return worker

    def _spawn_beat(self) -> FleetProcess:
        log = self.log_dir / "beat.log"
        started = log.stat().st_size if log.exists() else 0  # the log may have lines of an earlier run
        return self._spawn(
            "beat",
            self._celery("beat"),
            lambda: b"beat: Starting" in log.read_bytes()[started:],
            # The fleets of one machine must not speak for each other.
            {"LIMNER_HEARTBEAT_FILE": str(self._work_dir / "beat.heartbeat")},
        )

    def _celery(self, *command: str) -> list[str]:
        return ["celery", "-A", "worker", *command, "-l", self._log_level]

    def _spawn(
        self,
        name: str,
        command: Sequence[str],
        is_ready: Callable[[], bool],
        settings: Mapping[str, str] = MappingProxyType({}),
        pass_fds: Sequence[int] = (),
    ) -> FleetProcess:
        log = self.log_dir / f"{name}.log"
        with log.open("ab") as output:
            child = Child(
                [sys.executable, "-m", *command],
                output=output,
                env={**_inherited(), **self._environment, **settings},
                cwd=self._work_dir,  # not the checkout: a developer's .env there would change the fleet
                pass_fds=pass_fds,
            )
        return FleetProcess(name, log, child, is_ready)

    def _wait_for(self, processes: Sequence[FleetProcess]) -> None:
        deadline = time.monotonic() + START_SECONDS
        for process in processes:
            process.wait_until_ready(deadline)


def _end(processes: Iterable[FleetProcess]) -> None:
    children = [process.child for process in processes]
    for child in children:
        child.signal(signal.SIGTERM)
        child.signal(signal.SIGCONT)  # a stopped process acts on SIGTERM only when it continues
    deadline = time.monotonic() + DRAIN_SECONDS
    for child in children:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(max(0.0, deadline - time.monotonic()))
        child.kill()


def _is_healthy(address: str) -> bool:
    try:
        return httpx.get(f"{address}/health", timeout=HEALTH_SECONDS, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def _inherited() -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return with_checkout(inherited)
