"""The callback receiver's response time, and its CPU a callback, at several offered loads.

The receiver is a real uvicorn process. Callbacks are sent over loopback at fixed times, regardless of
outstanding answers, and each response time counts from the time at which its callback was due.
"""

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import urlsplit

import psutil

from bench import fleets
from bench.report import quantile, table
from limner import TextToImage
from limner._redis import connect
from limner.ledger import Ledger, Quota
from limner.submission import prepare
from sandbox.kie.callbacks import signature
from sandbox.kie.server import SandboxProvider
from sandbox.local.fleet import LocalFleet
from sandbox.local.valkey import EmbeddedValkey

KEY: Final = "bench-webhook-key"
TOKEN: Final = "bench-token"  # noqa: S105 - of made-up jobs
RATES: Final = (50, 200, 500)
SECONDS: Final = 5
CONNECTIONS: Final = 32
KINDS: Final = ("first of its task", "duplicate", "forged token", "forged signature")


def run() -> Iterator[str]:
    """The table."""
    rows = []
    # Without a worker, nothing else uses the machine, and tasks keep their state.
    with _fleet() as fleet, connect(fleet.redis_url) as client:
        ledger = Ledger(client)
        assert fleet.callbacks
        process = psutil.Process(fleet.callbacks.pid)
        url = fleet.environment["LIMNER_CALLBACK_URL"]
        warm = _requests("first of its task", _jobs(ledger, 200))
        asyncio.run(_send(url, warm, 200))
        for rate in RATES:
            jobs = _jobs(ledger, rate * SECONDS)
            for kind in KINDS:
                before = sum(process.cpu_times()[:2])
                waits, failed = asyncio.run(_send(url, _requests(kind, jobs), rate))
                cpu = 1000 * (sum(process.cpu_times()[:2]) - before) / len(jobs)
                marks = [quantile(waits, q) for q in (0.5, 0.9, 0.99)]
                rows.append([rate, kind, *marks, max(waits), failed, cpu])
    head = ["offered a second", "callback", "p50 ms", "p90 ms", "p99 ms", "max ms", "not 200", "CPU ms each"]
    yield from table(head, rows)


def _fleet() -> LocalFleet:
    return LocalFleet(
        workers=0,
        callbacks=True,
        settings=fleets.ROOMY,
        provider=SandboxProvider(hmac_key=KEY),
        valkey=EmbeddedValkey(aof=True),
        log_level="WARNING",
    )


def _jobs(ledger: Ledger, count: int) -> list[str]:
    """Jobs with a running task of the provider. The task's id is the job's id."""
    ledger.jobs.submit_many([prepare(TextToImage(prompt="a boat")) for _ in range(count)])
    job_ids: list[str] = []
    while len(job_ids) < count:
        for step in ledger.queue.claim(Quota(1_000_000, 10.0, 0, 1, 1_000_000), batch=1000).steps:
            assert ledger.jobs.begin(step.job_id, step.lease, TOKEN, deadline=3600) not in ("stale", "late")
            ledger.jobs.accepted(step.job_id, 1, step.job_id, poll_in=3600)
            job_ids.append(step.job_id)
    return job_ids


def _requests(kind: str, jobs: Sequence[str]) -> list[bytes]:
    first = jobs[0]
    return [
        _request(
            job if kind == "first of its task" else first,
            token="forged" if kind == "forged token" else TOKEN,
            key="forged" if kind == "forged signature" else KEY,
        )
        for job in jobs
    ]


def _request(job: str, *, token: str, key: str) -> bytes:
    stamp = int(time.time())
    data = {"taskId": job, "state": "success", "param": json.dumps({"input": {"prompt": "a boat" * 50}})}
    body = json.dumps({"code": 200, "msg": "Playground task completed successfully.", "data": data}).encode()
    head = (
        f"POST /callbacks/{job}/{token} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
        f"X-Webhook-Timestamp: {stamp}\r\nX-Webhook-Signature: {signature(key, job, stamp)}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _send(url: str, requests: Sequence[bytes], rate: int) -> tuple[list[float], int]:
    """Send the requests at a rate; return their milliseconds, and the number of answers other than 200."""
    parts = urlsplit(url)
    free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        free.put_nowait(await asyncio.open_connection(parts.hostname, parts.port))
    began = time.perf_counter()

    async def send_one(number: int, request: bytes) -> tuple[float, bool]:
        due = began + number / rate
        await asyncio.sleep(due - time.perf_counter())
        reader, writer = await free.get()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        took = 1000 * (time.perf_counter() - due)
        free.put_nowait((reader, writer))
        return took, head.startswith(b"HTTP/1.1 200")

    answers = await asyncio.gather(*(send_one(number, request) for number, request in enumerate(requests)))
    while not free.empty():
        _, writer = free.get_nowait()
        writer.close()
    return [took for took, _ in answers], sum(not good for _, good in answers)
