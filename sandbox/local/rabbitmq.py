"""A RabbitMQ node of this process, from the server that the system has installed."""

import atexit
import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from sandbox.processes.children import Child

__all__ = ["LocalRabbitMQ", "RabbitMQError", "find_programs"]

HOST: Final = "127.0.0.1"
USER: Final = "limner"
START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 10.0
_FOLDER: Final = Path("/usr/lib/rabbitmq/bin")
"""The programs themselves. Those in the search path let only root and the user of the service in."""


class RabbitMQError(RuntimeError):
    """The server is not installed, or did not start."""


def find_programs() -> Path | None:
    """The folder with RabbitMQ's programs; None if no server is installed."""
    complete = shutil.which("epmd") and shutil.which("erl") and (_FOLDER / "rabbitmq-server").exists()
    return _FOLDER if complete else None


class LocalRabbitMQ:
    """A node on loopback with a user, a port mapper and a temporary folder of its own::

        with LocalRabbitMQ() as node:
            Celery(broker=node.url)

    Node and port mapper end with this process. Nothing of a system's service is read or changed.
    """

    def __init__(self) -> None:
        self._owner = os.getpid()
        self._password = secrets.token_urlsafe(16)
        self._folder: Path | None = None
        self._mapper: Child | None = None
        self._node: Child | None = None
        self._ports: list[int] = []

    @property
    def url(self) -> str:
        return f"amqp://{USER}:{self._password}@{HOST}:{self._ports[0]}//"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> Self:
        """Start the node and wait until it accepts connections. Raises :class:`RabbitMQError`."""
        atexit.register(self.stop)
        self._folder = Path(tempfile.mkdtemp(prefix="limner-rabbitmq-"))
        self._ports = _free_ports(3)
        try:
            self._configure(self._folder)
            with (self._folder / "epmd.log").open("ab") as log:
                mapper = ["epmd", "-address", HOST, "-port", str(self._ports[1])]
                self._mapper = Child(mapper, output=log, env=self._environment)
            self._launch()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Kill the node, and remove its folder."""
        if os.getpid() != self._owner:
            return  # a forked copy of the owner runs the same atexit handlers
        atexit.unregister(self.stop)
        for child in filter(None, (self._node, self._mapper)):
            child.kill()
        self._node = self._mapper = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def kill(self) -> None:
        """Kill the node (SIGKILL). Its folder stays, for :meth:`restart`."""
        self._live().kill()

    def restart(self) -> None:
        """Start the node again with the same port and folder; a running one is stopped first."""
        self._live().stop(STOP_SECONDS)
        self._launch()

    def pause(self) -> None:
        """Freeze the node (SIGSTOP): connections stay open, but nothing is answered."""
        self._live().signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Continue a frozen node (SIGCONT)."""
        self._live().signal(signal.SIGCONT)

    def block(self) -> None:
        """Raise the alarm of a full memory, which holds up every connection that publishes."""
        self.control("set_vm_memory_high_watermark", "0.0000001")

    def unblock(self) -> None:
        """End the alarm."""
        self.control("set_vm_memory_high_watermark", "0.9")

    def control(self, *arguments: str) -> str:
        """Run ``rabbitmqctl`` for this node; returns its output. It takes some seconds."""
        self._live()
        done = subprocess.run(
            [_programs() / "rabbitmqctl", "--quiet", *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
            check=False,
        )
        if done.returncode:
            raise RabbitMQError(f"rabbitmqctl {arguments[0]} failed: {(done.stderr or done.stdout)[-500:]}")
        return done.stdout

    def _live(self) -> Child:
        if self._node is None:
            raise RabbitMQError("The node was not started: call start() or use it in a with statement.")
        return self._node

    def _configure(self, folder: Path) -> None:
        (folder / "rabbitmq.conf").write_text(
            "\n".join(
                [
                    f"listeners.tcp.1 = {HOST}:{self._ports[0]}",
                    f"default_user = {USER}",
                    f"default_pass = {self._password}",
                    "vm_memory_high_watermark.relative = 0.9",
                    # A small disk raises an alarm as well, and a test decides when there is one.
                    "disk_free_limit.absolute = 1MB",
                    "",
                ]
            )
        )
        (folder / "plugins").write_text("[].\n")

    @property
    def _environment(self) -> dict[str, str]:
        folder = str(self._folder)
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            # The cookie by which node and rabbitmqctl know each other is made there.
            "HOME": folder,
            "LANG": "C.UTF-8",
            "ERL_EPMD_ADDRESS": HOST,
            "ERL_EPMD_PORT": str(self._ports[1]),
            "RABBITMQ_NODENAME": "limner@localhost",
            "RABBITMQ_CONF_ENV_FILE": f"{folder}/none",
            "RABBITMQ_CONFIG_FILE": f"{folder}/rabbitmq",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/plugins",
            "RABBITMQ_MNESIA_BASE": f"{folder}/data",
            "RABBITMQ_LOG_BASE": f"{folder}/log",
            "RABBITMQ_DIST_PORT": str(self._ports[2]),
            # The port mapper is a child of ours: one that the node starts would outlive it.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                "-start_epmd false -kernel inet_dist_use_interface {127,0,0,1} +S 1:1 +sbwt none"
            ),
            # The start script then becomes the node, instead of waiting for it.
            "RUNNING_UNDER_SYSTEMD": "true",
        }

    def _launch(self) -> None:
        if self._folder is None:
            raise RabbitMQError("The node was stopped and its folder given up: call start().")
        deadline = time.monotonic() + START_SECONDS
        with (self._folder / "node.log").open("ab") as log:
            self._node = Child(
                [_programs() / "rabbitmq-server"], output=log, env=self._environment, cwd=self._folder
            )
        while self._node.running and time.monotonic() < deadline:
            if _greets(self._ports[0]):
                return
            time.sleep(0.02)
        lines = (self._folder / "node.log").read_text(errors="replace").splitlines()[-10:]
        raise RabbitMQError(f"The node did not start. Its last lines: {' | '.join(lines)}")


def _programs() -> Path:
    if (folder := find_programs()) is None:
        raise RabbitMQError("RabbitMQ is not installed: install the package rabbitmq-server.")
    return folder


def _greets(port: int) -> bool:
    """True if a server there answers the greeting of AMQP, which it does once it has started."""
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1) as connection:
        connection.sendall(b"AMQP\x00\x00\x09\x01")
        return connection.recv(1) == b"\x01"
    return False


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        listeners = [stack.enter_context(socket.create_server((HOST, 0))) for _ in range(count)]
        return [listener.getsockname()[1] for listener in listeners]
