"""The comparison of two ledgers, the stand-in's and ours, job by job."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, Self

from bench.long_run.plan import WITHHELD
from limner._connection import store_errors
from limner.ledger import Ledger, Record
from limner.status import JobState, TaskState

__all__ = ["Bought", "Verdict", "bought_by_prompt", "read_all", "verdict"]

BATCH: Final = 500
_REFUSED_ALL_THE_SAME: Final = "error_500"


@dataclass(frozen=True, slots=True)
class Bought:
    """A task of the stand-in's ledger."""

    id: str
    created_ms: int
    billed: bool
    result: tuple[tuple[str, ...], Decimal]
    """Its URLs and credits if it succeeds."""
    answered: bool
    withheld: bool
    """True if its callback is lost or not authentic."""
    deceptive: bool
    """True if its creation was refused, and its callback came late or not at all."""

    @classmethod
    def from_row(cls, row: Mapping[str, Any], base_url: str) -> Self:
        """The task of a row of ``SandboxProvider.ledger()``."""
        fate = frozenset(row["faults"])
        refused = row["call_ended"] == _REFUSED_ALL_THE_SAME
        urls = tuple(f"{base_url}/files/{row['task_id']}_{index}.png" for index in range(row["images"]))
        return cls(
            id=row["task_id"],
            created_ms=row["created_ms"],
            billed=row["billed"] > 0,
            result=(urls, Decimal(str(row["credits"])).normalize()),
            answered=row["call_ended"] == "answered",
            withheld=not fate.isdisjoint(WITHHELD),
            deceptive=refused and not fate.isdisjoint(WITHHELD | {"callback_late"}),
        )


def bought_by_prompt(rows: Sequence[Mapping[str, Any]], base_url: str) -> dict[str, list[Bought]]:
    """The tasks of each prompt, oldest first."""
    tasks: defaultdict[str, list[Bought]] = defaultdict(list)
    for row in rows:
        tasks[row["input"]["prompt"]].append(Bought.from_row(row, base_url))
    return tasks


def read_all(ledger: Ledger, client: Any, job_ids: Sequence[str]) -> Iterator[tuple[str, Record | None]]:
    """Read each job's record, in few round trips."""
    now = datetime.now(UTC)
    for start in range(0, len(job_ids), BATCH):
        batch = job_ids[start : start + BATCH]
        with store_errors(client), client.pipeline(transaction=False) as pipe:
            for job_id in batch:
                pipe.hgetall(ledger.jobs.key(job_id))
            answers = pipe.execute()
        for job_id, fields in zip(batch, answers, strict=True):
            yield job_id, Record.from_hash(job_id, fields, now) if fields else None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of comparing one job."""

    outcome: str
    lost: bool
    double_billed: bool
    deceived: bool
    missed: tuple[Bought, ...]
    """Tasks that are missing from our ledger in spite of their callback."""
    unknown: tuple[Bought, ...]
    """All tasks that are missing from our ledger."""
    undelivered: bool
    unfinished: bool
    wrong: bool
    deluded: bool

    @property
    def pending(self) -> bool:
        """True if the verdict may still improve with time."""
        return self.lost or bool(self.missed) or self.undelivered or self.unfinished


def verdict(record: Record | None, bought: Sequence[Bought]) -> Verdict:
    """Compare one job's record with its tasks at the provider."""
    known = {task.task_id for task in record.tasks} if record else set()
    unknown = tuple(task for task in bought if task.id not in known)
    billed = [task for task in bought if task.billed]
    deceived = all(task.deceptive for task in billed[:-1])
    return Verdict(
        outcome=_outcome(record),
        lost=record is None or not record.state.ended,
        double_billed=len(billed) > 1 and not deceived,
        deceived=len(billed) > 1 and deceived,
        missed=tuple(task for task in unknown if not task.withheld),
        unknown=unknown,
        undelivered=record is not None
        and record.state is JobState.FAILED
        and any(task.billed and task.id in known for task in bought),
        unfinished=record is not None and any(task.state is TaskState.OPEN for task in record.tasks),
        wrong=record is not None
        and record.state is JobState.SUCCEEDED
        and _result(record) not in [task.result for task in billed],
        deluded=not known <= {task.id for task in bought},
    )


def _outcome(record: Record | None) -> str:
    if record is None:
        return "unknown"
    return type(failure).__name__ if (failure := record.failure) else record.state.value


def _result(record: Record) -> tuple[tuple[str, ...], Decimal]:
    outcome = record.outcome or {}
    return tuple(outcome["urls"]), Decimal(outcome["credits"] or 0).normalize()
