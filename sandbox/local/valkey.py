"""A real Valkey server from a wheel or the PATH, for the demo, the tests and users' own CI."""

import atexit
import os
import secrets
import shutil
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self

from sandbox.local.folders import locked, temporary_folder
from sandbox.local.ports import HOST, answers, free_port
from sandbox.local.valkey_program import ValkeyError, check_stamp, find_server, version_of
from sandbox.processes.children import Child

__all__ = ["AppendFsync", "EmbeddedValkey", "ValkeyError"]

START_SECONDS: Final = 30.0  # the server reads a large append-only file before its first answer
STOP_SECONDS: Final = 10.0
PORT_ATTEMPTS: Final = 8

AppendFsync = Literal["always", "everysec", "no"]


class EmbeddedValkey:
    """A server on its own loopback port, as a context manager::

        with EmbeddedValkey() as valkey:
            redis.Redis.from_url(valkey.url)

    Without ``data_dir`` it works in a temporary folder that is removed with it, and stores nothing unless
    ``aof`` is true. With ``data_dir`` the folder stays, the append-only file is on, and the folder is marked
    with the server's name and version. An older server, or another one, is refused, because it would open the
    folder as an empty database without an error. The server never outlives the process that started it.
    """

    def __init__(
        self,
        *,
        data_dir: Path | None = None,
        aof: bool | None = None,
        appendfsync: AppendFsync = "everysec",
        port: int | None = None,
        password: str | None = None,
        configuration: Sequence[str] = (),
    ) -> None:
        """``configuration`` are further lines of the server's configuration, such as ``maxclients 20``."""
        self._data_dir = data_dir
        self._aof = data_dir is not None if aof is None else aof
        self._appendfsync = appendfsync
        self._fixed_port = port
        self._password = password or secrets.token_hex(16)
        self._configuration_lines = tuple(configuration)
        self._owner = os.getpid()
        self._folder: Path | None = None
        self._port: int | None = None
        self._child: Child | None = None

    @property
    def url(self) -> str:
        """The URL for clients, which stays the same after :meth:`restart`."""
        return f"redis://:{self._password}@{HOST}:{self.port}/0"

    @property
    def port(self) -> int:
        if self._port is None:
            raise ValkeyError("The server was not started: call start() or use it in a with statement.")
        return self._port

    @property
    def password(self) -> str:
        return self._password

    @property
    def running(self) -> bool:
        """False before the start and after the server has ended."""
        return self._child is not None and self._child.running

    @property
    def pid(self) -> int:
        return self._live().pid

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> Self:
        """Start the server and wait until it answers. Raises :class:`ValkeyError` on failure."""
        if self.running:
            raise ValkeyError("The server is already running.")
        if self._folder is None:
            self._folder = self._data_dir or temporary_folder()
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        atexit.register(self.stop)
        try:
            self._launch(self._folder)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop the server in an orderly way, and remove its folder if that is a temporary one."""
        if os.getpid() != self._owner:
            return  # a forked copy of the owner runs the same atexit handlers
        atexit.unregister(self.stop)
        if self._child is not None:
            self._child.stop(STOP_SECONDS)
            self._child = None
        if self._folder is not None and self._data_dir is None:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._folder = None

    def kill(self) -> None:
        """Kill the server (SIGKILL). The folder stays, for :meth:`restart`."""
        self._live().kill()

    def restart(self) -> None:
        """Restart the server with the same port, password and folder; a running one is stopped first."""
        if self._folder is None:
            raise ValkeyError("The server was stopped and its folder given up: call start().")
        self._live().stop(STOP_SECONDS)
        self._launch(self._folder)

    def pause(self) -> None:
        """Freeze the server (SIGSTOP): connections stay open, but nothing is answered."""
        self._live().signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Continue a frozen server (SIGCONT)."""
        self._live().signal(signal.SIGCONT)

    def _live(self) -> Child:
        if self._child is None:
            raise ValkeyError("The server was not started: call start() or use it in a with statement.")
        return self._child

    def _launch(self, folder: Path) -> None:
        binary = find_server()
        version = version_of(binary)
        if self._aof:
            check_stamp(folder, version)
        deadline = time.monotonic() + START_SECONDS
        for _ in range(PORT_ATTEMPTS):
            port = self._fixed_port or self._port or free_port()
            with locked(folder) as lock, (folder / "server.log").open("ab") as log:
                self._child = Child(
                    [binary, "-"], stdin=self._configuration(folder, port), output=log, pass_fds=[lock]
                )
            if answers(port, self._password, lambda: self._live().running, deadline):
                self._port = port
                return
            self._child.kill()
        log_lines = (folder / "server.log").read_text(errors="replace").splitlines()[-5:]
        raise ValkeyError(f"{binary} did not start on {HOST}:{port}. Its last lines: {' | '.join(log_lines)}")

    def _configuration(self, folder: Path, port: int) -> str:
        # The configuration goes to standard input, so that the password is in no argument list and no file.
        return "\n".join(
            [
                f"bind {HOST}",
                f"port {port}",
                f"requirepass {self._password}",
                f'dir "{folder.resolve()}"',
                'save ""',
                f"appendonly {'yes' if self._aof else 'no'}",
                f"appendfsync {self._appendfsync}",
                "maxmemory-policy noeviction",
                "loglevel warning",
                *self._configuration_lines,
                "",
            ]
        )
