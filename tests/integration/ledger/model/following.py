"""A job of the model, and what the news of its tasks make of it. Times are in milliseconds."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from limner.ledger import Grant
from limner.records import JobState, TaskState
from limner.terms import Adoption

HINT_PAUSE: Final = 1_000
AHEAD: Final = 60_000
MOST_UNSURE: Final = 4

OPEN = TaskState.OPEN

Place = Literal["due", "line:create", "line:look"]


@dataclass
class Known:
    """A task of the provider that our side has heard of."""

    task_id: str
    attempt: int
    sure: bool
    state: TaskState = OPEN
    foreign: bool = False
    credits: str | None = None
    urls: tuple[str, ...] = ()


@dataclass
class Followed:
    """A job as it must be, whose tasks are followed."""

    job_id: str
    digest: str
    priority: int
    turn: int
    key: str | None = None
    state: JobState = JobState.QUEUED
    place: Place | None = "line:create"
    due: int = 0
    """The place's score, unless that is the line for attempts."""
    lease: int = 0
    owned: bool = False
    """Whether the newest claim still owns the job's next step: it has not run out, and was not used."""
    in_flight: bool = False
    tokens: dict[str, int] = field(default_factory=dict)
    """The attempt that each secret proves."""
    grant: Grant | None = None
    deadline: int | None = None
    allowance: int = 0
    tasks: list[Known] = field(default_factory=list)
    task_id: str | None = None
    looking: int | None = None
    seen: int | None = None
    hinted: int | None = None
    looks: int = 0
    doubtful: int | None = None
    """The attempt of which it is not known whether the provider took it."""
    held_at: int | None = None
    resubmitted: int = 0
    outcome: dict[str, Any] | None = None
    finished: int | None = None
    ends: list[int] = field(default_factory=list)
    """When it has ended: twice, if late success followed upon failure."""
    stored: bool = False
    cancelled_as: JobState | None = None
    pardoned: int = 0
    log: list[str] = field(default_factory=lambda: ["submitted"])

    @property
    def attempt(self) -> int:
        return self.grant.attempt if self.grant else 0

    @property
    def open_task(self) -> Known | None:
        return next((task for task in self.tasks if task.state is OPEN), None)

    def wait(self, due: int) -> None:
        self.place, self.due, self.owned = "due", due, False

    def queue_up(self) -> None:
        self.place, self.owned, self.in_flight = "line:create", False, False

    # Tasks

    def task(self, task_id: str) -> Known | None:
        return next((task for task in self.tasks if task.task_id == task_id), None)

    def adopt(self, now: int, attempt: int, task_id: str, *, sure: bool, delay: int = 0) -> Adoption:
        known = self.task(task_id)
        if attempt == 0 or (known and known.foreign and not sure):
            return Adoption.MISMATCHED
        if known and known.state is OPEN:
            self.heard_again(now, known, sure)
            return Adoption.EXPECTED
        if known and known.state is not TaskState.LOST:
            return Adoption.REPEATED
        certain = any(task.sure and task.attempt == attempt for task in self.tasks)
        unsure = sum(not task.sure for task in self.tasks)
        if not known and not sure and (certain or unsure >= MOST_UNSURE):
            return Adoption.MISMATCHED
        if known:
            self.tasks.remove(known)
        known = known or Known(task_id, attempt, sure)
        known.state, known.sure, known.attempt, known.foreign = OPEN, known.sure or sure, attempt, False
        self.tasks.insert(0, known)
        if self.doubtful == attempt:
            self.doubtful = None
        self.follow(now, attempt, sure, delay)
        return Adoption.ADOPTED

    def follow(self, now: int, attempt: int, sure: bool, delay: int) -> None:
        """What comes of a new open task."""
        if self.state.ended:
            self.log.append("late_answer")
            if self.stored:
                self.look_soon(now)
        elif self.state is JobState.SENDING and attempt != self.attempt:
            # Of the later attempt that is on the wire, the outcome comes first.
            self.log.append("adopted")
        elif sure and self.state is not JobState.GENERATING:
            self.generate(now)
            self.wait(now + delay)
            self.log.append("generating")
        else:
            self.log.append("adopted")
            self.go_on_looking(now)

    def heard_again(self, now: int, known: Known, sure: bool) -> None:
        known.sure = known.sure or sure
        if sure:
            return
        self.tasks.remove(known)
        self.tasks.insert(0, known)
        if self.state is JobState.GENERATING:
            self.task_id = known.task_id
        if self.state is JobState.GENERATING or self.stored:
            self.look_soon(now)

    def look_soon(self, now: int) -> None:
        """Never later than it would come anyway, and at most one a second, however many the hints."""
        self.hinted = now
        if self.looking is not None and self.place == "due":
            return
        at = now if self.seen is None else self.seen + HINT_PAUSE
        if self.place == "line:look":
            self.due = min(now - AHEAD, self.due)
        elif at <= now:
            self.place, self.due, self.owned = "line:look", now - AHEAD, False
        else:
            self.wait(min(at, self.due) if self.place == "due" else at)

    def generate(self, now: int) -> None:
        assert self.open_task
        self.state, self.task_id = JobState.GENERATING, self.open_task.task_id
        if self.deadline is None:
            self.deadline = now + self.allowance
        if self.place == "line:create":
            self.place = None
        self.held_at, self.in_flight = None, True

    def go_on_looking(self, now: int) -> bool:
        if not self.open_task:
            return False
        self.generate(now)
        self.look_soon(now)
        return True

    def looked(self, now: int, delay: int, confirmed: str | None) -> None:
        hinted = self.hinted is not None and self.looking is not None and self.hinted >= self.looking
        self.looks, self.looking, self.seen = self.looks + 1, None, now
        if confirmed and (task := self.task(confirmed)):
            task.sure = True
            self.tasks.remove(task)
            self.tasks.append(task)
            if self.state is JobState.GENERATING and self.open_task:
                self.task_id = self.open_task.task_id
        self.wait(now + (min(delay, HINT_PAUSE) if hinted else delay))
        self.log.append("looked")

    def task_ended(
        self,
        now: int,
        task: Known,
        result: TaskState,
        outcome: dict[str, Any],
        *,
        store_lease: int,
        grace: int = 0,
        foreign: bool = False,
        spent: str | None = None,
        urls: Sequence[str] = (),
    ) -> str:
        if task.state is not OPEN and not (task.state is TaskState.LOST and result is not TaskState.LOST):
            repeated = task.state is result and self.state.ended and self.outcome == outcome
            return "ended" if repeated else "stale"
        task.state, task.credits, task.foreign = result, spent, foreign
        self.looks, self.looking, self.seen = self.looks + 1, None, now
        self.doubt_after(task)
        if result is TaskState.SUCCEEDED and self.state not in (JobState.SUCCEEDED, JobState.CANCELLED):
            late = self.state is JobState.FAILED
            self.task_id = task.task_id
            event = "succeeded_late" if late else "succeeded"
            self.finish(now, JobState.SUCCEEDED, outcome, store_lease, event)
            return "late" if late else "ended"
        task.urls = tuple(urls)
        if self.state.ended:
            self.noted_after_the_end(now, result)
        elif (
            self.state in (JobState.QUEUED, JobState.SENDING)
            or (self.state is JobState.IN_DOUBT and self.doubtful is not None)
            or self.go_on_looking(now)
        ):
            self.log.append(f"task_{result}")
        elif self.doubtful is not None:
            self.log += [f"task_{result}", "in_doubt"]
            self.state, self.task_id, self.lease = JobState.IN_DOUBT, None, self.lease + 1
            self.wait(now + grace)
        else:
            self.finish(now, JobState.FAILED, outcome, store_lease)
            return "ended"
        return "noted"

    def doubt_after(self, task: Known) -> None:
        """A task that is lost may be there all the same; of any other, its attempt is certain."""
        if task.state is not TaskState.LOST:
            task.sure = True
            if self.doubtful == task.attempt:
                self.doubtful = None
        elif not task.sure or self.state is JobState.GENERATING:
            self.doubtful = task.attempt

    def noted_after_the_end(self, now: int, result: TaskState) -> None:
        if result is TaskState.SUCCEEDED:
            self.log.append("late_result" if self.state is JobState.CANCELLED else "double")
        else:
            self.log.append(f"task_{result}")
        if self.stored and self.open_task:
            self.look_soon(now)
        elif self.stored:
            self.place = None

    # The end

    def finish(
        self, now: int, state: JobState, outcome: dict[str, Any], store_lease: int, event: str | None = None
    ) -> None:
        self.state, self.outcome, self.finished = state, outcome, now
        self.in_flight, self.looking, self.stored = False, None, False
        self.ends.append(now)
        self.wait(now + store_lease)
        self.log.append(event or state)
