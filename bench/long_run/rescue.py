"""What a killed worker held, and how long its jobs stood still.

At DEBUG, a worker's log says when it has taken a step and when the step has ended. What a dead worker's log
shows as taken and not ended was in its hands: running, or waiting for a thread. Such a step is over all the
same if the job's own log has an entry from its time, since only the entry ``sending`` comes before a step's
work is done. For all others the rescue lasts from the SIGKILL to the next entry of the job's log, whoever
wrote it: another worker that took the step again, a settlement once the lease was over, or a callback.

Not seen: a message that the worker had popped and not logged yet, a matter of a millisecond.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from limner.status import LogEntry

__all__ = ["Held", "held", "standstill"]

_LINE: Final = re.compile(
    r"^\[([-\d]+ [:\d]+,\d+): \w+/\w+\] Task (limner\.\w+)\[([^\]]+)\] (received|succeeded|failed|raised)",
    re.MULTILINE,
)
_TIME: Final = "%Y-%m-%d %H:%M:%S,%f"
_BEFORE_WORK: Final = "sending"


@dataclass(frozen=True)
class Held:
    """A step in a dead worker's hands. Times are in seconds since the epoch."""

    job_id: str
    taken: float
    killed: float


def held(log: Path, killed: float) -> Iterator[Held]:
    """The steps that a worker had taken, and not ended, when it was killed."""
    open_steps: dict[tuple[str, str], str] = {}
    for time, step, job_ids, what in _LINE.findall(log.read_text(errors="replace")):
        if what == "received":
            open_steps[step, job_ids] = time
        else:
            open_steps.pop((step, job_ids), None)
    for (_, job_ids), time in open_steps.items():
        # A time of this machine's zone, as Celery writes it.
        taken = datetime.strptime(time, _TIME).timestamp()  # noqa: DTZ007
        # A message of several polls bears the names of all of their jobs.
        yield from (Held(job_id, taken, killed) for job_id in job_ids.split(","))


def standstill(step: Held, log: Sequence[LogEntry]) -> float | None:
    """Seconds from the SIGKILL to the job's next entry; None if the step was over, or never came to be."""
    later = [entry.at.timestamp() for entry in log if entry.at.timestamp() > step.killed]
    over = any(
        step.taken <= entry.at.timestamp() <= step.killed and entry.event != _BEFORE_WORK for entry in log
    )
    return None if over or not later else later[0] - step.killed
