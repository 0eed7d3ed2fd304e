"""The memory of a worker that makes 32 copies of 60 MB at once."""

import http.server
import io
import json
import multiprocessing
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from PIL import Image

from bench.copies.stores import NOT_COPIES, ONLY_COPIES, Waiting, copying_fleet, make_waiting
from bench.fleets import provider
from bench.report import table
from limner import Limner
from limner._redis import connect
from limner.ledger import Ledger

COPIES: Final = 32
SIDE: Final = 4460
"""Pixels: 20 million of them, uncompressed, are 60 MB, and still get a thumbnail."""
SEEN_EVERY: Final = 0.05


def run() -> Iterator[str]:
    """The table."""
    rows = []
    with _host() as url:
        for thumbnails in (False, True):
            rows.append(_measure(url, thumbnails=thumbnails))  # noqa: PERF401 - long
    size = 3 * SIDE * SIDE / 1e6
    yield f"{COPIES} copies of a file of {size:.0f} MB at once, LIMNER_COPY_CONCURRENCY={COPIES}:\n"
    yield from table(
        ["thumbnails", "idle, MB", "peak, MB", "more than idle", "most copies at once", "seconds"], rows
    )


def _measure(url: str, *, thumbnails: bool) -> list[object]:
    with (
        provider(0.1, file_size="small") as witness,
        copying_fleet(
            witness,
            workers=0,
            LIMNER_COPY_CONCURRENCY=str(COPIES),
            LIMNER_CONCURRENCY=str(COPIES),
            LIMNER_COPY_PATIENCE_SECONDS="3600",
            LIMNER_COPY_THUMBNAILS=str(int(thumbnails)),
            LIMNER_COPY_SECONDS="300",
        ) as (fleet, _),
        Limner(fleet.redis_url) as producer,
    ):
        fleet.start_worker(arguments=NOT_COPIES)
        first = make_waiting(fleet, producer, 1)
        worker = fleet.start_worker(arguments=ONLY_COPIES)
        waiting = Waiting(fleet)
        waiting.until(0)
        idle = _resident(worker.pid, "VmRSS")
        fleet.kill_worker(len(fleet.workers) - 1)
        jobs = make_waiting(fleet, producer, COPIES)
        with connect(fleet.redis_url) as client:
            for job in jobs:
                _point_to(client, job.id, url)
        assert first
        worker = fleet.start_worker(arguments=ONLY_COPIES)
        began, most = time.monotonic(), 0
        while waiting.count():
            most = max(most, _spools(worker.pid))
            time.sleep(SEEN_EVERY)
        seconds, peak = time.monotonic() - began, _resident(worker.pid, "VmHWM")
    return ["on" if thumbnails else "off", idle, peak, peak - idle, most, seconds]


def _point_to(client: Any, job_id: str, url: str) -> None:
    """Have a job's images fetched from this URL."""
    key = Ledger(client).jobs.key(job_id)
    copies = json.loads(client.hget(key, "copies"))
    client.hset(key, "copies", json.dumps([{**copy, "url": url} for copy in copies]))


def _resident(pid: int, what: str) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith(what))
    return int(line.split()[1]) / 1024


def _spools(pid: int) -> int:
    """The temporary files that a process has open."""
    links = (link for link in Path(f"/proc/{pid}/fd").iterdir())
    found = 0
    for link in links:
        try:
            found += "(deleted)" in str(link.readlink())
        except FileNotFoundError:
            continue
    return found


@contextmanager
def _host() -> Iterator[str]:
    """The URL of a large picture, served by a process of its own."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    try:
        yield str(ours.recv())
    finally:
        process.terminate()
        process.join()


def _serve(told: Connection) -> None:
    out = io.BytesIO()
    pixels = random.Random(1).randbytes(3 * SIDE * SIDE)
    Image.frombytes("RGB", (SIDE, SIDE), pixels).save(out, "PNG", compress_level=0)
    data = out.getvalue()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "image/png")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        told.send(f"http://127.0.0.1:{server.server_port}/large.png")
        server.serve_forever()
