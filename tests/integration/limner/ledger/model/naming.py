"""The tasks that are named for a job of the model: those that are polled, and those that wait for it."""

from dataclasses import dataclass, field
from typing import Final

from limner.status import TaskState
from tests.integration.limner.ledger.model.costs import Costly

MOST_UNSURE: Final = 4
MOST_LOST: Final = 8
MOST_CANDIDATES: Final = 128

OPEN: Final = TaskState.OPEN


@dataclass
class Known:
    """A task that the ledger knows of."""

    task_id: str
    attempt: int
    sure: bool
    state: TaskState = OPEN
    foreign: bool = False
    tried: bool = False
    """True if a poll has not found it so far."""
    credits: str | None = None
    urls: tuple[str, ...] = ()


@dataclass
class Named(Costly):
    """The tasks of a job."""

    owners: dict[str, str] = field(default_factory=dict)
    """The job of each task that a poll has confirmed; all jobs share it."""
    tasks: list[Known] = field(default_factory=list)
    candidates: list[Known] = field(default_factory=list)
    wrong_ids: int = 0
    forgotten: set[str] = field(default_factory=set)
    """Tasks that were forgotten because there were too many, or because another one was confirmed."""
    log: list[str] = field(default_factory=lambda: ["submitted"])

    @property
    def open_task(self) -> Known | None:
        return next((task for task in self.tasks if task.state is OPEN), None)

    def task(self, task_id: str) -> Known | None:
        return next((task for task in self.tasks if task.task_id == task_id), None)

    def is_known(self, attempt: int) -> bool:
        """True if it is certain which task the attempt has made."""
        return any(task.sure and task.attempt == attempt for task in self.tasks)

    def cannot_have(self, task_id: str, attempt: int, *, called_back: bool) -> bool:
        """True if a callback or a person names a task that cannot be the attempt's."""
        known = self.task(task_id)
        if known and known.foreign:
            return True
        other = called_back and not known and self.is_known(attempt)
        return other or self.owners.get(task_id, self.job_id) != self.job_id

    def was_wrong(self) -> None:
        self.wrong_ids += 1
        if self.wrong_ids in (10, 100, 1000):
            self.log.append("wrong_ids")

    def forget_one(self) -> None:
        lost = [task for task in self.tasks if task.state is TaskState.LOST and not task.sure]
        if len(lost) >= MOST_LOST:
            self.tasks.remove(lost[-1])
            self.forgotten.add(lost[-1].task_id)

    def make_room(self) -> None:
        """Let an open task wait if there are too many that nobody has confirmed."""
        unsure = [task for task in self.tasks if task.state is OPEN and not task.sure]
        if len(unsure) < MOST_UNSURE:
            return
        leaves = next((task for task in reversed(unsure) if task.tried), unsure[-1])
        self.tasks.remove(leaves)
        self.let_wait(leaves)

    def let_wait(self, task: Known) -> None:
        self.candidates.append(task)
        if len(self.candidates) > MOST_CANDIDATES:
            dropped = next((task for task in self.candidates if task.tried), self.candidates[0])
            self.candidates.remove(dropped)
            self.forgotten.add(dropped.task_id)
            self.was_wrong()

    def take_candidate(self, task_id: str) -> Known | None:
        found = next((task for task in self.candidates if task.task_id == task_id), None)
        if found:
            self.candidates.remove(found)
        return found

    def admit_one(self) -> bool:
        """Give a place to the first candidate that may still be a task of the job."""
        while self.candidates:
            task = self.candidates.pop(0)
            if self.task(task.task_id):
                continue
            if self.is_known(task.attempt):
                self.forgotten.add(task.task_id)
                self.was_wrong()
                continue
            self.forget_one()
            self.tasks.append(task)
            return True
        return False

    def replace_ended(self, task: Known) -> None:
        if task.state is TaskState.LOST and not task.sure:
            self.was_wrong()
        self.admit_one()

    def was_not_found(self, task: Known) -> None:
        """A poll has not found the task: another one has its turn."""
        task.tried = True
        self.tasks.remove(task)
        if self.admit_one():
            self.let_wait(task)
        else:
            self.tasks.append(task)
