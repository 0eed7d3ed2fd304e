"""A producer in a process of its own, which can run another version of Limner than the bench.

It reads a request from standard input, and says that it is ready. After one more line it submits the prompts,
waits, and prints what became of each job.
"""

import json
import sys
import time
from typing import Any

from limner import InDoubt, Job, JobFailed, JobState, Limner


def main() -> None:
    """Serve one request: ``url`` of Redis, ``prompts``, ``patience`` in seconds."""
    asked = json.loads(sys.stdin.readline())
    with Limner(asked["url"]) as producer:
        print("ready", flush=True)
        sys.stdin.readline()
        jobs = producer.submit_many(asked["prompts"])
        deadline = time.monotonic() + asked["patience"]
        while time.monotonic() < deadline and not all(_is_over(job) for job in jobs):
            time.sleep(0.5)
        found = [{"prompt": prompt, **_end(job)} for prompt, job in zip(asked["prompts"], jobs, strict=True)]
        spending = producer.spend()
        pauses = [account.pause.cause for account in producer.accounts() if account.pause]
    standing = spending.standing
    booked = sum(day.spent for day in spending.days) + standing.held + standing.doubtful
    json.dump({"jobs": found, "booked": float(booked), "pauses": pauses}, sys.stdout)


def _is_over(job: Job) -> bool:
    return job.status().state.ended


def _end(job: Job) -> dict[str, Any]:
    status = job.status()
    told: dict[str, Any] = {"end": status.state.value, "attempts": status.attempts, "urls": []}
    if status.state is JobState.SUCCEEDED:
        images = job.result(timeout=0)
        told |= {"task_id": images.task_id, "urls": images.urls}
    elif status.state.ended:
        try:
            job.result(timeout=0)
        except InDoubt:
            told["end"] = "InDoubt"
        except JobFailed as error:
            told["end"] = type(error).__name__
    return told


if __name__ == "__main__":
    main()
