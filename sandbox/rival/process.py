"""``python -m sandbox rival``, and the rival as a child process for tests and benches."""

import asyncio
import contextlib
import json
import os
import secrets
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict
from types import TracebackType
from typing import IO, Annotated, Any, Final, Self

import httpx
import typer

from sandbox.processes.checkout import with_checkout
from sandbox.processes.children import Child
from sandbox.rival.spending import Plan, sender, spend

__all__ = ["Rival", "RivalDied", "rival"]

ANSWER_SECONDS: Final = 10.0
STOP_SECONDS: Final = 2 * ANSWER_SECONDS
READY: Final = "spending"


class RivalDied(RuntimeError):
    """The second client ended without a summary; its own message is on standard error."""


def rival(
    url: Annotated[str, typer.Option(help="The start of the API's paths.")],
    key: Annotated[str, typer.Option(help="A key of the account.")] = "sandbox-key",
    share: Annotated[float, typer.Option(help="The part of the quota to spend.")] = Plan.share,
    creates: Annotated[int, typer.Option(help="The account's createTask calls per window.")] = Plan.creates,
    window: Annotated[float, typer.Option(help="The window's length in seconds.")] = Plan.window,
    seconds: Annotated[float, typer.Option(help="When to stop.")] = Plan.seconds,
    report_fd: Annotated[int, typer.Option(hidden=True)] = -1,
) -> None:
    """Spend a share of an account's createTask quota from outside, and print a summary as JSON.

    It stops by itself, or earlier on Ctrl-C, and prints the summary in both cases.
    """
    try:
        plan = Plan(share=share, creates=creates, window=window, seconds=seconds)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if report_fd < 0:
        typer.echo(json.dumps(asyncio.run(_spend(plan, url, key, lambda: None))))
        return
    with os.fdopen(report_fd, "w") as pipe:
        summary = asyncio.run(_spend(plan, url, key, lambda: print(READY, file=pipe, flush=True)))
        json.dump(summary, pipe)


async def _spend(plan: Plan, url: str, key: str, ready: Callable[[], None]) -> dict[str, Any]:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)

    async def is_over(interval: float) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopped.wait(), interval)
        return stopped.is_set()

    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(
        base_url=url, headers=headers, timeout=ANSWER_SECONDS, trust_env=False
    ) as client:
        ready()
        spent = await spend(plan, sender(client, secrets.token_hex(4)), is_over)
    return spent.to_json(plan)


class Rival:
    """The second client in its own process, as a context manager::

        with SandboxProvider() as provider, Rival(provider.url, share=0.25) as outside:
            ...
        outside.summary()["accepted"]

    Keywords are the fields of :class:`~sandbox.rival.spending.Plan`, which raises :class:`ValueError` for an
    invalid one. The process never outlives the one that started it, and outlives its plan by at most one
    answer's time.
    """

    def __init__(self, url: str, *, key: str = "sandbox-key", **plan: Any) -> None:
        self.plan = Plan(**plan)
        self._url = url
        self._key = key
        self._child: Child | None = None
        self._report: IO[str] | None = None
        self._summary: dict[str, Any] | None = None

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
        """Start the process and wait until it is ready to send. Raises :class:`RivalDied` on failure."""
        report_read, report_write = os.pipe()
        try:
            options = [
                part for name, value in asdict(self.plan).items() for part in (f"--{name}", str(value))
            ]
            argv = [sys.executable, "-m", "sandbox", "rival", "--report-fd", str(report_write), *options]
            self._child = Child(
                [*argv, "--url", self._url, "--key", self._key],
                env=with_checkout(os.environ),
                pass_fds=[report_write],
            )
        finally:
            os.close(report_write)
        self._report = os.fdopen(report_read)
        if self._report.readline().strip() != READY:  # ends at once if the child does
            self.stop()
            raise RivalDied("The rival did not start; see its message on standard error.")
        return self

    def stop(self) -> None:
        """Stop sending, wait for outstanding answers, and keep the summary."""
        if self._child is not None:
            self._child.stop(STOP_SECONDS)
            self._collect()

    def wait(self, seconds: float) -> dict[str, Any]:
        """Wait until the plan has ended, and return the summary.

        Raises :class:`subprocess.TimeoutExpired` if the process still runs after ``seconds``.
        """
        if self._child is not None:
            self._child.wait(seconds)
            self._collect()
        return self.summary()

    def summary(self) -> dict[str, Any]:
        """The counts of answers, in the form of :meth:`sandbox.rival.spending.Spent.to_json`.

        Raises :class:`RivalDied` if the process has not ended normally.
        """
        if self._summary is None:
            raise RivalDied("There is no summary before the rival is stopped, nor if it was killed.")
        return self._summary

    def _collect(self) -> None:
        self._child = None
        if self._report is not None:
            with self._report as report:
                text = report.read()  # far smaller than a pipe's buffer, so the child never blocked on it
            self._report = None
            self._summary = json.loads(text) if text else None
