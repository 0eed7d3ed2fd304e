"""A real Sentinel, which watches a primary and promotes a replica when it is away."""

import os
import shutil
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from sandbox.local.folders import locked, temporary_folder
from sandbox.local.ports import HOST, answers, free_port
from sandbox.local.valkey import PORT_ATTEMPTS, START_SECONDS, STOP_SECONDS, EmbeddedValkey, ValkeyError
from sandbox.local.valkey_program import find_server
from sandbox.processes.children import Child

__all__ = ["SERVICE", "Sentinel"]

SERVICE: Final = "mymaster"
"""The name of what the sentinels watch."""
DOWN_MS: Final = 1000
FAILOVER_MS: Final = 5000


class Sentinel:
    """A Sentinel on its own loopback port, as a context manager.

    It never outlives the process that started it. It calls a primary down after 1 s of
    silence, and tries a failover anew after 5 s.
    """

    def __init__(self, primary: EmbeddedValkey, *, quorum: int, password: str | None = None) -> None:
        """Watch a running primary. ``password`` is that of the sentinels themselves."""
        self._primary = primary
        self._quorum = quorum
        self._password = password
        self._owner = os.getpid()
        self._folder: Path | None = None
        self._child: Child | None = None
        self.port = 0

    @property
    def pid(self) -> int:
        if self._child is None:
            raise ValkeyError("The sentinel was not started: call start() or use it in a with statement.")
        return self._child.pid

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.running

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> Self:
        """Start the sentinel and wait until it answers. Raises :class:`ValkeyError` on failure."""
        folder = self._folder = temporary_folder()
        file = folder / "sentinel.conf"
        deadline = time.monotonic() + START_SECONDS
        for _ in range(PORT_ATTEMPTS):
            self.port = free_port()
            # A sentinel rewrites its configuration, so that it needs a file. Others cannot enter the folder.
            file.write_text(self._configuration(folder))
            with locked(folder) as lock, (folder / "server.log").open("ab") as log:
                self._child = Child([find_server(), file, "--sentinel"], output=log, pass_fds=[lock])
            child = self._child
            if answers(self.port, self._password, lambda: child.running, deadline):  # noqa: B023
                return self
            child.kill()
        log_lines = (folder / "server.log").read_text(errors="replace").splitlines()[-5:]
        self.stop()
        raise ValkeyError(f"The sentinel did not start. Its last lines: {' | '.join(log_lines)}")

    def stop(self) -> None:
        """Stop the sentinel, and remove its folder."""
        if os.getpid() != self._owner:
            return  # a forked copy of the owner does not own it
        if self._child is not None:
            self._child.stop(STOP_SECONDS)
            self._child = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def kill(self) -> None:
        """Kill the sentinel (SIGKILL)."""
        if self._child is not None:
            self._child.kill()

    def _configuration(self, folder: Path) -> str:
        secret = [f"requirepass {self._password}", f"sentinel sentinel-pass {self._password}"]
        return "\n".join(
            [
                f"bind {HOST}",
                f"port {self.port}",
                f'dir "{folder.resolve()}"',
                *(secret if self._password else []),
                f"sentinel monitor {SERVICE} {HOST} {self._primary.port} {self._quorum}",
                f"sentinel auth-pass {SERVICE} {self._primary.password}",
                f"sentinel down-after-milliseconds {SERVICE} {DOWN_MS}",
                f"sentinel failover-timeout {SERVICE} {FAILOVER_MS}",
                "",
            ]
        )
