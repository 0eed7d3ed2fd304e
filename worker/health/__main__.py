"""``python -m worker.health`` exits with 0 if this machine's worker takes tasks, else with 1 and a reason.

It reads a small file and its age, which takes some milliseconds. ``celery inspect ping`` costs 0.3 s of CPU.
"""

import sys
import time
from pathlib import Path

LOST = "lost"
"""The content of the heartbeat's file while the broker is away."""
STALE = 20.0
"""Seconds without a beat after which a worker counts as dead. It beats every 5 s."""
STALE_LOST = 45.0
"""The same for a worker that has lost its broker. It tries again at least every 32 s."""


def verdict(heartbeat: Path, now: float) -> str | None:
    """The fault, or None if the heart beats. ``now`` is in seconds since the epoch."""
    try:
        age, fault = now - heartbeat.stat().st_mtime, heartbeat.read_text(encoding="utf-8")
    except FileNotFoundError:
        return f"no heartbeat: there is no {heartbeat}, so the worker has not begun to take tasks"
    if fault == LOST:
        return f"no heartbeat for {age:.0f} s: the worker has lost its broker" if age > STALE_LOST else None
    if age > STALE:
        return f"no heartbeat for {age:.0f} s: the worker hangs"
    return f"the worker runs, and {fault}" if fault else None


def main() -> int:
    """Check the heartbeat; returns the exit code."""
    from config import load

    wrong = verdict(load().heartbeat_file, time.time())
    if wrong:
        print(wrong, file=sys.stderr)  # noqa: T201 - a health check speaks on the terminal
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
