"""The comparison of two ledgers, the stand-in's and ours, job by job."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, Self
from urllib.parse import urlsplit

from bench.long_run.forger import FORGED
from bench.long_run.plan import FAULT_ATTEMPTS, WITHHELD
from limner._redis import store_errors
from limner.ledger import Ledger, Record
from limner.status import Copy, JobState, Task, TaskState

__all__ = ["Bought", "Entry", "Verdict", "bought_by_prompt", "read_all", "verdict"]

BATCH: Final = 500
_REFUSED_ALL_THE_SAME: Final = "error_500"
_BOOKED: Final = ("hold:", "doubt:")
"""The fields of an attempt whose possible cost is on the books."""


@dataclass(frozen=True, slots=True)
class Bought:
    """A task of the stand-in's ledger."""

    id: str
    created_ms: int
    billed: bool
    result: tuple[tuple[str, ...], Decimal | None]
    """The paths of its URLs, and its credits, if it succeeds; None if the record does not show them."""
    answered: bool
    withheld: bool
    """True if its callback is lost or not authentic."""
    deceptive: bool
    """True if its creation was refused, and its callback came late or not at all."""

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """The task of a row of ``SandboxProvider.ledger()``."""
        fate = frozenset(row["faults"])
        refused = row["call_ended"] == _REFUSED_ALL_THE_SAME
        paths = tuple(f"/files/{row['task_id']}_{index}.png" for index in range(row["images"]))
        shown = fate.isdisjoint({"credits_odd", "credits_missing", "flag_only"})
        return cls(
            id=row["task_id"],
            created_ms=row["created_ms"],
            billed=row["billed"] > 0,
            result=(paths, Decimal(str(row["credits"])).normalize() if shown else None),
            answered=row["call_ended"] == "answered",
            withheld=not fate.isdisjoint(WITHHELD),
            deceptive=refused and not fate.isdisjoint(WITHHELD | {"callback_late"}),
        )


def bought_by_prompt(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Bought]]:
    """The tasks of each prompt, oldest first."""
    tasks: defaultdict[str, list[Bought]] = defaultdict(list)
    for row in rows:
        tasks[row["input"]["prompt"]].append(Bought.from_row(row))
    return tasks


@dataclass(frozen=True, slots=True)
class Entry:
    """A job in our ledger."""

    record: Record
    booked: int
    """The number of its attempts whose possible cost is on the books, since their end is unknown."""


def read_all(ledger: Ledger, client: Any, job_ids: Sequence[str]) -> Iterator[tuple[str, Entry | None]]:
    """Read each job, in few round trips."""
    now = datetime.now(UTC)
    for start in range(0, len(job_ids), BATCH):
        batch = job_ids[start : start + BATCH]
        with store_errors(client), client.pipeline(transaction=False) as pipe:
            for job_id in batch:
                pipe.hgetall(ledger.jobs.key(job_id))
            answers = pipe.execute()
        for job_id, fields in zip(batch, answers, strict=True):
            booked = sum(name.startswith(_BOOKED) for name in fields)
            yield job_id, Entry(Record.from_hash(job_id, fields, now), booked) if fields else None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of comparing one job."""

    outcome: str
    lost: bool
    double_billed: bool
    deceived: bool
    beyond: bool
    off_the_books: bool
    faulted: int
    remade: int
    missed: tuple[Bought, ...]
    """Tasks that are missing from our ledger in spite of their callback."""
    unknown: tuple[Bought, ...]
    """All tasks that are missing from our ledger."""
    undelivered: bool
    unfinished: bool
    wrong: bool
    deluded: bool
    copies: tuple[Copy, ...]
    """The copies of its images, on record."""

    @property
    def pending(self) -> bool:
        """True if the verdict may still improve with time."""
        uncopied = not all(copy.stored for copy in self.copies)
        return self.lost or bool(self.missed) or self.undelivered or self.unfinished or uncopied


def verdict(entry: Entry | None, bought: Sequence[Bought]) -> Verdict:
    """Compare one job with its tasks at the provider."""
    record = entry.record if entry else None
    tasks = record.tasks if record else ()
    known, real = {task.task_id for task in tasks}, {task.id for task in bought}
    unknown = tuple(task for task in bought if task.id not in known)
    billed = [task for task in bought if task.billed]
    deceived = all(task.deceptive for task in billed[:-1])
    return Verdict(
        outcome=_outcome(record),
        lost=record is None or not record.state.ended,
        double_billed=len(billed) > 1 and not deceived,
        deceived=len(billed) > 1 and deceived,
        beyond=len(billed) > FAULT_ATTEMPTS,
        off_the_books=sum(task.billed for task in unknown) > (entry.booked if entry else 0),
        faulted=record.faulted if record else 0,
        remade=record.remade if record else 0,
        missed=tuple(task for task in unknown if not task.withheld),
        unknown=unknown,
        undelivered=record is not None
        and record.state is JobState.FAILED
        and any(task.billed and task.id in known for task in bought),
        unfinished=any(task.state is TaskState.OPEN and task.task_id in real for task in tasks),
        wrong=record is not None
        and record.state is JobState.SUCCEEDED
        and not any(_delivers(record, task) for task in billed),
        deluded=any(task.task_id not in real and _is_believed(task) for task in tasks),
        copies=record.copies if record else (),
    )


def _is_believed(task: Task) -> bool:
    """True if a task that does not exist was found to have ended, or was named without a token."""
    ended = task.state not in (TaskState.OPEN, TaskState.LOST)
    return ended or task.task_id.startswith(FORGED)


def _outcome(record: Record | None) -> str:
    if record is None:
        return "unknown"
    return type(failure).__name__ if (failure := record.failure) else record.state.value


def _delivers(record: Record, task: Bought) -> bool:
    """True if the job's result is that of the task. A signed URL has a query, a relative one no host."""
    outcome = record.outcome or {}
    paths, credits_ = task.result
    same = credits_ is None or Decimal(outcome["credits"] or 0).normalize() == credits_
    return same and tuple(urlsplit(url).path for url in outcome["urls"]) == paths
