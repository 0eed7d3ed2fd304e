"""The contenders whose CPU is compared: contexts that start workers and yield the processes to measure."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import psutil

from bench import fleets
from limner import Job, Limner
from limner._redis import connect
from sandbox.kie.server import SandboxProvider
from sandbox.local.valkey import EmbeddedValkey
from sandbox.processes.children import Child

PACE: Final = float(os.environ.get("BENCH_CPU_PACE", "60"))
"""Jobs a second: less than a worker's capacity, so that polls are on time."""
CHUNK: Final = 6
"""Jobs submitted at a time."""
PATIENCE: Final = 120.0
POLL_AGAIN: Final = 0.05
"""Seconds between two reads of a result. A subscription would sometimes miss its message."""
THREADS: Final = 32
"""Threads of a Celery worker, Limner's or plain."""
COROUTINES: Final = 1000
"""Coroutines of a taskiq worker. A sleeping task occupies one."""


@dataclass(frozen=True)
class Load:
    """The duration of tasks, and the poll intervals of the contenders without a learned policy.

    The intervals are chosen so that all contenders make equally many polls: Celery's actual intervals are
    some tenths of a second longer than requested.
    """

    name: str
    tasks: MappingProxyType[str, Any]
    """Options of the stand-in."""
    celery_every: float
    """Seconds from one poll of plain Celery to the next."""
    taskiq_every: float
    """Seconds from one poll of taskiq to the next."""
    usual: float
    """The usual duration in seconds that Limner assumes before it has learned anything."""


@dataclass(frozen=True)
class Running:
    """A running contender."""

    pids: Sequence[int]
    """Process ids of its workers. Their child processes are measured with them."""
    redis_url: str
    provider: SandboxProvider
    submit: Callable[[Sequence[str]], Sequence[Any]] = field(repr=False)
    """Submits jobs with these prompts, and returns handles to wait for."""
    wait: Callable[[Sequence[Any]], None] = field(repr=False)
    """Waits until all of those have their result."""

    def finish(self, count: int) -> None:
        """Submit ``count`` jobs at an even pace, and wait for the last result."""
        sent: list[Any] = []
        began = time.monotonic()
        for start in range(0, count, CHUNK):
            time.sleep(max(0.0, began + start / PACE - time.monotonic()))
            sent += self.submit([f"boat {at}" for at in range(start, min(start + CHUNK, count))])
        self.wait(sent)


@dataclass(frozen=True)
class Others:
    """The contenders other than Limner, with their server. Their clients connect to it at import."""

    valkey: EmbeddedValkey

    @contextlib.contextmanager
    def celery(self, load: Load, level: str = "WARNING") -> Iterator[Running]:
        """A worker of the plain Celery chain of two tasks that retry themselves."""
        with fleets.provider(**load.tasks) as provider, self._connected(provider):
            from bench.plain_celery import submit

            quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
            command = ["celery", "-A", "bench.plain_celery", "worker", "-P", "threads", "-c", str(THREADS)]

            def send(prompts: Sequence[str]) -> Sequence[Any]:
                return [submit(prompt, load.celery_every) for prompt in prompts]

            def wait(results: Sequence[Any]) -> None:
                for result in results:
                    while not result.ready():
                        time.sleep(POLL_AGAIN)

            with _worker([*command, *quiet, "-l", level]) as pid:
                yield Running([pid], self.valkey.url, provider, send, wait)

    @contextlib.contextmanager
    def taskiq(self, load: Load, level: str = "WARNING") -> Iterator[Running]:
        """A worker of the two taskiq coroutines, measured together with taskiq's supervisor process."""
        with fleets.provider(**load.tasks) as provider, self._connected(provider):
            from bench.plain_taskiq import broker, create_task

            async def send(prompts: Sequence[str]) -> Sequence[str]:
                results = [uuid.uuid4().hex for _ in prompts]
                for prompt, result in zip(prompts, results, strict=True):
                    await create_task.kiq(prompt, result, load.taskiq_every)
                return results

            async def wait(results: Sequence[str]) -> None:
                for result in results:
                    while not await broker.result_backend.is_result_ready(result):
                        await asyncio.sleep(POLL_AGAIN)

            # The broker creates its queue here; a message sent earlier would reach no worker.
            _loop().run(broker.startup())
            command = ["taskiq", "worker", "bench.plain_taskiq:broker", "-w", "1"]
            with _worker([*command, "--max-async-tasks", str(COROUTINES), "--log-level", level]) as pid:
                yield Running(
                    [pid],
                    self.valkey.url,
                    provider,
                    lambda prompts: _loop().run(send(prompts)),
                    lambda results: _loop().run(wait(results)),
                )

    @contextlib.contextmanager
    def _connected(self, provider: SandboxProvider) -> Iterator[None]:
        os.environ["BENCH_REDIS_URL"] = self.valkey.url
        os.environ["BENCH_API_URL"] = provider.url
        os.environ["BENCH_API_KEY"] = min(provider.options.accepted_keys)
        with connect(self.valkey.url) as client:
            client.flushall()
        yield


@contextlib.contextmanager
def limner(load: Load, level: str = "WARNING", workers: int = 1, **settings: str) -> Iterator[Running]:
    """Limner's workers, with their own server."""
    settings.setdefault("LIMNER_USUAL_SECONDS", json.dumps({"BALANCED": load.usual}))
    with (
        fleets.fleet(
            0.0,
            workers=workers,
            witness=fleets.provider(**load.tasks),
            log_level=level,
            appendfsync="always",
            **settings,
        ) as fleet,
        Limner(fleet.redis_url) as producer,
    ):
        assert fleet.provider

        def wait(jobs: Sequence[Job]) -> None:
            for job in jobs:
                job.result(PATIENCE)

        pids = [worker.pid for worker in fleet.workers]
        yield Running(pids, fleet.redis_url, fleet.provider, producer.submit_many, wait)


@contextlib.contextmanager
def _worker(command: Sequence[str]) -> Iterator[int]:
    root = Path(__file__).parent.parent
    environment = {**os.environ, "PYTHONPATH": str(root)}
    program = [sys.executable, "-m", *command]
    worker = Child(program, cwd=root, env=environment, output=subprocess.DEVNULL)
    try:
        yield worker.pid
    finally:
        children = psutil.Process(worker.pid).children(recursive=True) if worker.running else []
        worker.stop(10)
        # taskiq's supervisor ends before its worker, which could take the next contender's messages.
        for child in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()


@cache
def _loop() -> asyncio.Runner:
    """The one event loop of this process, because the broker's connections are bound to their loop."""
    return asyncio.Runner()
