"""The steps that a killed worker held, and the standstill of their jobs.

At DEBUG, a worker's log shows the start and the end of each step. A step that a dead worker's log shows as
started and not ended was in its hands: running, or waiting for a thread. The step is nevertheless done if the
job's own log has an entry from that time, since only the entry ``sending`` is written before a step's work is
done. For all other steps the rescue lasts from the SIGKILL to the next entry of the job's log. That entry
comes from another worker that took the step again, from recovery after the lease expired, or from a callback.

A message that the worker had popped and not yet logged is not counted; that takes about a millisecond.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from limner.status import LogEntry
from worker.dispatcher import TASKS

__all__ = ["Held", "held", "standstill"]

_LINE: Final = re.compile(
    r"^\[([-\d]+ [:\d]+,\d+): \w+/\w+\] Task (limner\.\w+)\[([^\]]+)\] (received|succeeded|failed|raised)",
    re.MULTILINE,
)
_TIME: Final = "%Y-%m-%d %H:%M:%S,%f"
_BEFORE_WORK: Final = "sending"


@dataclass(frozen=True)
class Held:
    """A step that a dead worker held. Times are in seconds since the epoch."""

    job_id: str
    taken: float
    killed: float


def held(log: Path, killed: float) -> Iterator[Held]:
    """The steps that a worker had taken, and not ended, when it was killed."""
    open_steps: dict[tuple[str, str], str] = {}
    for time, step, task_id, event in _LINE.findall(log.read_text(errors="replace")):
        if event == "received":
            open_steps[step, task_id] = time
        else:
            open_steps.pop((step, task_id), None)
    for (_, task_id), time in open_steps.items():
        # Celery writes local time without a zone.
        taken = datetime.strptime(time, _TIME).timestamp()  # noqa: DTZ007
        yield from (Held(job_id, taken, killed) for job_id in jobs_of(task_id))


def jobs_of(task_id: str) -> list[str]:
    """The jobs of a step's message, by its id; that of a plain message is the job's own."""
    step, _, rest = task_id.partition(":")
    # A message of several polls carries the ids of all its jobs.
    return rest.rpartition(":")[0].split(",") if step in TASKS and rest else [task_id]


def standstill(step: Held, log: Sequence[LogEntry]) -> float | None:
    """Seconds from the SIGKILL to the job's next log entry; None if the step was done or no entry follows."""
    later = [entry.at.timestamp() for entry in log if entry.at.timestamp() > step.killed]
    done = any(
        step.taken <= entry.at.timestamp() <= step.killed and entry.event != _BEFORE_WORK for entry in log
    )
    return None if done or not later else later[0] - step.killed
