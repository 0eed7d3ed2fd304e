"""Child processes that never outlive the process that started them."""

import contextlib
import ctypes
import functools
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Final, TypeVar

__all__ = ["Child"]

T = TypeVar("T")

_PR_SET_PDEATHSIG: Final = 1

# Where the kernel has no parent-death signal (macOS), a sibling process watches. It is the owner's own child,
# so a change of its parent means that the owner has ended. An inherited pipe would not work, because forked
# pool children keep it open.
WATCHER: Final = """
import os, signal, sys, time
owner, child = int(sys.argv[1]), int(sys.argv[2])
while os.getppid() == owner:
    time.sleep(0.2)
os.kill(child, signal.SIGKILL)
"""


class Child:
    """A process in its own session, so that the terminal's Ctrl-C reaches only its owner.

    It is killed when its owner ends, even by SIGKILL. In a forked copy of the owner, the methods that end the
    process do nothing, because the copy does not own it.
    """

    def __init__(
        self,
        argv: Sequence[str | Path],
        *,
        stdin: str | None = None,
        output: int | IO[bytes] | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        pass_fds: Sequence[int] = (),
    ) -> None:
        """Start ``argv``. ``stdin`` is written and closed; ``output`` receives stdout and stderr.

        Raises :class:`OSError` if the program cannot be run.
        """
        self._owner = os.getpid()
        self._process = _by_immortal_thread(
            lambda: subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
                stdout=output,
                stderr=output,
                env=env,
                cwd=cwd,
                pass_fds=pass_fds,
                start_new_session=True,
                preexec_fn=_arm_death_signal(),
            )
        )
        if stdin is not None and self._process.stdin is not None:
            with self._process.stdin as pipe:
                pipe.write(stdin.encode())
        self._watcher = None if sys.platform == "linux" else self._watch()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def returncode(self) -> int | None:
        """The exit status, negative for a signal; None while the process runs."""
        return self._process.poll()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, unless the process has ended or has another owner."""
        if os.getpid() == self._owner:
            self._process.send_signal(number)

    def wait(self, seconds: float) -> int:
        """Wait for the exit status. Raises :class:`subprocess.TimeoutExpired` after ``seconds``."""
        return self._process.wait(seconds)

    def stop(self, grace_seconds: float) -> None:
        """Ask the process to end (SIGTERM), and kill it if it still runs after the grace time."""
        if os.getpid() != self._owner:
            return
        self.signal(signal.SIGTERM)
        self.signal(signal.SIGCONT)  # a stopped process acts on SIGTERM only when it continues
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(grace_seconds)
        self.kill()

    def kill(self) -> None:
        """Kill the process (SIGKILL) and wait until it has ended."""
        if os.getpid() != self._owner:
            return
        for process in filter(None, (self._watcher, self._process)):
            process.kill()
            process.wait()

    def _watch(self) -> "subprocess.Popen[bytes]":
        argv = [sys.executable, "-I", "-S", "-c", WATCHER, str(self._owner), str(self.pid)]
        return subprocess.Popen(argv, stdin=subprocess.DEVNULL, start_new_session=True)


def _arm_death_signal() -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    owner = os.getpid()

    def arm() -> None:
        prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != owner:  # the owner died before the call, so the signal would never be sent
            os._exit(1)

    return arm


def _by_immortal_thread(call: Callable[[], T]) -> T:
    # Linux sends the death signal when the *thread* that forked ends. A server started by a pool's thread
    # would die with that thread, so one thread that never ends does all the forking.
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:
            future.set_exception(error)

    _forker(os.getpid()).put(run)
    return future.result()


@functools.cache
def _forker(_pid: int) -> "SimpleQueue[Callable[[], None]]":
    # Cached by process id, because a fork copies the queue but not the thread.
    calls: SimpleQueue[Callable[[], None]] = SimpleQueue()

    def serve() -> None:
        while True:
            calls.get()()

    threading.Thread(target=serve, name="sandbox-forker", daemon=True).start()
    return calls
