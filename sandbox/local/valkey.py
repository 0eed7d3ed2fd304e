"""A real Valkey server from a wheel or the PATH, for the demo, the tests and users' own CI."""

import atexit
import contextlib
import fcntl
import os
import secrets
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self

from sandbox.local.valkey_program import ValkeyError, check_stamp, find_server, version_of
from sandbox.processes.children import Child

__all__ = ["EmbeddedValkey", "ValkeyError"]

HOST: Final = "127.0.0.1"
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
    ) -> None:
        self._data_dir = data_dir
        self._aof = data_dir is not None if aof is None else aof
        self._appendfsync = appendfsync
        self._fixed_port = port
        self._password = password or secrets.token_hex(16)
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
        if self._child is not None and self._child.running:
            raise ValkeyError("The server is already running.")
        if self._folder is None:
            self._folder = self._data_dir or _temporary_folder()
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
            port = self._fixed_port or self._port or _free_port()
            with _locked(folder) as lock, (folder / "server.log").open("ab") as log:
                self._child = Child(
                    [binary, "-"], stdin=self._configuration(folder, port), output=log, pass_fds=[lock]
                )
            if self._answers(port, deadline):
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
                "",
            ]
        )

    def _answers(self, port: int, deadline: float) -> bool:
        # Only our own server knows the password, so a successful AUTH also proves that the port is ours.
        while self._live().running and time.monotonic() < deadline:
            with (
                contextlib.suppress(OSError),
                socket.create_connection((HOST, port), timeout=1) as connection,
            ):
                connection.sendall(f"AUTH {self._password}\r\nPING\r\n".encode())
                replies = connection.makefile("rb")
                if (replies.readline(), replies.readline()) == (b"+OK\r\n", b"+PONG\r\n"):
                    return self._live().running
            time.sleep(0.005)
        return False


def _temporary_folder() -> Path:
    # A killed owner could not remove its folder. The name has its pid, so the next owner can remove it.
    for folder in Path(tempfile.gettempdir()).glob("limner-valkey-*-*"):
        with contextlib.suppress(OSError, ValueError):  # not ours, or just removed by another process
            if not _alive(int(folder.name.split("-")[2])) and not _in_use(folder):
                shutil.rmtree(folder, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"limner-valkey-{os.getpid()}-"))


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _in_use(folder: Path) -> bool:
    # Containers that share a temporary folder do not see each other's pids, but they do see the locks.
    with (folder / "server.lock").open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[int]:
    # Only the server inherits and keeps the lock, so it lasts exactly as long as the server. Two servers
    # never append to the same file.
    lock = os.open(folder / "server.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        deadline = time.monotonic() + 5  # a killed server's rewrite child may hold it a moment longer
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise ValkeyError(f"{folder} is in use by another server.") from None
                time.sleep(0.02)
        yield lock
    finally:
        os.close(lock)


def _free_port() -> int:
    # The kernel does not give a port with a connection in TIME_WAIT to a request for any free port, but a
    # server can bind it by its number. So servers that start at the same time do not take each other's ports.
    with socket.create_server((HOST, 0)) as listener:
        port: int = listener.getsockname()[1]
        with socket.create_connection((HOST, port)):
            accepted, _ = listener.accept()
            accepted.close()  # the side that closes first keeps the TIME_WAIT
    return port
