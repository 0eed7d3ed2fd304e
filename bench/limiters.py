"""The rate limiters that Celery or a single process offers. For comparison only.

BENCH_LIMITER chooses ``celery``, the task's ``rate_limit``, or ``process``, an exact sliding window in the
memory of each worker. BENCH_REQUESTS and BENCH_SECONDS are each worker's quota. A refused request is retried
with exponential back-off and full jitter.
"""

import os
import random
import threading
import time
from collections import deque

import httpx
from celery import Celery

KIND = os.environ.get("BENCH_LIMITER", "celery")
REQUESTS = int(os.environ.get("BENCH_REQUESTS", "20"))
SECONDS = float(os.environ.get("BENCH_SECONDS", "10"))

app = Celery("limited", broker=os.environ.get("BENCH_REDIS_URL"))
app.conf.update(task_ignore_result=True, worker_prefetch_multiplier=1, task_acks_late=True)

http = httpx.Client(
    base_url=os.environ.get("BENCH_API_URL", ""),
    headers={"Authorization": f"Bearer {os.environ.get('BENCH_API_KEY', '')}"},
    limits=httpx.Limits(max_connections=64, max_keepalive_connections=64),
)
_sent: deque[float] = deque(maxlen=REQUESTS)
_lock = threading.Lock()


def _take_turn() -> None:
    with _lock:
        now = time.monotonic()
        at = max(now, _sent[0] + SECONDS) if len(_sent) == REQUESTS else now
        _sent.append(at)
    time.sleep(at - now)


@app.task(
    bind=True,
    max_retries=None,
    rate_limit=f"{60 * REQUESTS / SECONDS:.0f}/m" if KIND == "celery" else None,
)
def create_task(self, prompt):  # type: ignore[no-untyped-def]
    """Send one POST; retry a refused one after a back-off of up to a minute."""
    if KIND == "process":
        _take_turn()
    body = {"model": "ideogram/v3-text-to-image", "input": {"prompt": prompt}}
    if http.post("/api/v1/jobs/createTask", json=body).json()["code"] == 429:
        raise self.retry(countdown=random.uniform(0, min(60, 2 ** (self.request.retries + 1))))
