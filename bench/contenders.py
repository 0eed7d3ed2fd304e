"""Those whose CPU is compared: each as a context that starts its workers, and hands out what to measure."""

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
from limner._connection import connect
from sandbox.kie.server import SandboxProvider
from sandbox.local.valkey import EmbeddedValkey
from sandbox.processes.children import Child

PACE: Final = float(os.environ.get("BENCH_CPU_PACE", "60"))
"""Jobs a second: less than a worker can do, so that polls come when they are due."""
CHUNK: Final = 6
"""Jobs submitted at a time."""
PATIENCE: Final = 120.0
POLL_AGAIN: Final = 0.05
"""Seconds between two questions for a result. A subscription would now and then miss its message."""
THREADS: Final = 32
"""Of a Celery worker, Limner's or plain."""
COROUTINES: Final = 1000
"""Of a taskiq worker: a task that sleeps holds one."""


@dataclass(frozen=True)
class Load:
    """The length of tasks at the stand-in, and the poll intervals of those who learn nothing.

    The intervals are chosen so that all make as many polls: Celery's own come out some tenths of a second
    longer than what is asked for.
    """

    name: str
    tasks: MappingProxyType[str, Any]
    """Options of the stand-in."""
    celery_every: float
    """Seconds from one poll of plain Celery to the next."""
    taskiq_every: float
    """The same of taskiq."""
    usual: float
    """Seconds that Limner takes to be usual before it has learned anything."""


@dataclass(frozen=True)
class Running:
    """A contender at work."""

    pids: Sequence[int]
    """Its workers. Their children are measured with them."""
    redis_url: str
    provider: SandboxProvider
    submit: Callable[[Sequence[str]], Sequence[Any]] = field(repr=False)
    """Submits jobs of these prompts, and returns what waits for them."""
    wait: Callable[[Sequence[Any]], None] = field(repr=False)
    """Until all of those have their result."""

    def finish(self, count: int) -> None:
        """So many jobs at an even pace, until the last result is there."""
        sent: list[Any] = []
        began = time.monotonic()
        for start in range(0, count, CHUNK):
            time.sleep(max(0.0, began + start / PACE - time.monotonic()))
            sent += self.submit([f"boat {at}" for at in range(start, min(start + CHUNK, count))])
        self.wait(sent)


@dataclass(frozen=True)
class Others:
    """The server of those who are compared with Limner: their clients are bound to it when imported."""

    valkey: EmbeddedValkey

    @contextlib.contextmanager
    def celery(self, load: Load, level: str = "WARNING") -> Iterator[Running]:
        """The chain of two tasks that retry themselves."""
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
        """The two coroutines. The process that minds taskiq's one worker counts as well."""
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

            # The queue is there from now on: messages of before would be nobody's.
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
    """Limner's workers, with a server of their own."""
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
        # taskiq's minder goes before its worker, which would take the next one's messages meanwhile.
        for child in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()


@cache
def _loop() -> asyncio.Runner:
    """The one loop of this process, since the broker's connections are bound to theirs."""
    return asyncio.Runner()
