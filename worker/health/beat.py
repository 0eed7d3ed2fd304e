"""``python -m worker.health.beat`` exits with 0 if this machine's beat keeps its schedule, else with 1.

It reads the age of a file that beat touches after each look at its schedule. So it notices a beat that is
suspended, that hangs, or that Redis refuses.
"""

import sys
import time
from pathlib import Path
from typing import Final

LOOK: Final = 5.0
"""The most seconds between two looks at the schedule."""
STALE: Final = 30.0
"""Seconds without a look after which beat counts as stalled. A call to a Redis that hangs, and its
repetition, take up to twice LIMNER_REDIS_TIMEOUT_SECONDS."""


def beat_file(heartbeat: Path) -> Path:
    """The file that beat touches: the one of a worker on the same machine must not speak for it."""
    return heartbeat.with_name(f"{heartbeat.name}-beat")


def verdict(file: Path, now: float) -> str | None:
    """The fault, or None if beat keeps its schedule. ``now`` is in seconds since the epoch."""
    try:
        age = now - file.stat().st_mtime
    except FileNotFoundError:
        return f"beat has not looked at its schedule: there is no {file}"
    if age > STALE:
        return f"beat has not looked at its schedule for {age:.0f} s: it hangs, or Redis is away"
    return None


def main() -> int:
    """Check beat; returns the exit code."""
    from config import load

    wrong = verdict(beat_file(load().heartbeat_file), time.time())
    if wrong:
        print(wrong, file=sys.stderr)  # noqa: T201 - a health check speaks on the terminal
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
