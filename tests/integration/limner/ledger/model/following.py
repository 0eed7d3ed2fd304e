"""A job of the model that follows its tasks. Times are in milliseconds."""

from dataclasses import dataclass, field
from typing import Any, Final, Literal

from limner.ledger import Grant
from limner.ledger.messages import Adoption
from limner.status import JobState, TaskState
from tests.integration.limner.ledger.model.account import Permit
from tests.integration.limner.ledger.model.naming import OPEN, Known, Named
from tests.integration.limner.ledger.model.turns import Lane, Turns

SIGNAL_PAUSE: Final = 1_000
AHEAD: Final = 60_000
SIGNALLED: Final = -(10**12)
PROVEN_GRACE: Final = 900_000

Index = Literal["due", "ready", "ready:polls:main"]
Source = Literal["answer", "callback", "person"]
"""The source that names a task of an attempt."""


@dataclass
class Copied:
    """An image that is to be copied, or is copied."""

    task_id: str
    url: str
    stored: bool = False


@dataclass
class Followed(Named):
    """The expected state of a job whose tasks are followed."""

    turns: Turns = field(default_factory=Turns)
    priority: int = 5
    lane: str | None = None
    turn: int = 0
    waits: bool = True
    """True before the first attempt."""
    expires: int | None = None
    watched: bool = False
    """True if the job is in the index of jobs that expire."""
    key: str | None = None
    state: JobState = JobState.QUEUED
    index: Index | None = "ready"
    due: int = 0
    """The score in the index, except in ``ready``."""
    lease: int = 0
    owned: bool = False
    """True if the newest lease owns the job's next step: it has neither expired nor been used."""
    in_flight: bool = False
    permit: Permit | None = None
    """The permit with which the last attempt was sent."""
    sent_at: int = 0
    answered: bool = False
    tokens: dict[str, int] = field(default_factory=dict)
    """The attempt of each secret."""
    grant: Grant | None = None
    deadline: int | None = None
    ready_since: int | None = None
    """The start of its wait to be sent again, which does not count against the deadline."""
    allowance: int = 0
    task_id: str | None = None
    pace: int = 0
    """The pause between the last poll and the next one."""
    polling: int | None = None
    seen: int | None = None
    signalled: int | None = None
    polls: int = 0
    doubtful: int | None = None
    """The attempt in doubt."""
    proven: int | None = None
    """The attempt that was accepted for certain, without a task that could be read."""
    held_at: int | None = None
    resubmitted: int = 0
    outcome: dict[str, Any] | None = None
    finished: int | None = None
    ends: list[int] = field(default_factory=list)
    """The times of its ends: two if a late success followed a failure."""
    stored: bool = False
    cancelled_as: JobState | None = None
    uncounted: int = 0
    faulted: int = 0
    verdict: dict[str, Any] | None = None
    """The outcome by a failed task, if no better one comes."""
    decided: int | None = None
    """The attempt whose doubt was last decided by a resubmission."""
    copies: list[Copied] = field(default_factory=list)
    """The images that are to be copied, in the order in which they came."""
    copied: bool = False
    """True if the images of its result are copied."""
    copy_due: int | None = None
    copy_lease: int = 0
    copy_tries: int = 0
    copy_failed: bool = False
    """True if nobody tries to copy the others any more."""
    paid_failures: int = 0
    """The number of failed tasks that were paid after the end."""

    @property
    def has_outcome(self) -> bool:
        """True if the job has ended, or waits for its copies only."""
        return self.state.ended or self.state is JobState.COPYING

    @property
    def attempt(self) -> int:
        return self.grant.attempt if self.grant else 0

    def wait(self, due: int) -> None:
        self.index, self.due, self.owned = "due", due, False

    def enqueue(self, now: int) -> None:
        self.index, self.owned = "ready", False
        if self.deadline is not None and self.ready_since is None:
            self.ready_since = now

    def waited(self, now: int) -> int:
        return max(0, now - (now if self.ready_since is None else self.ready_since))

    def take_back(self, now: int) -> None:
        """Take an unused grant back."""
        if self.in_flight:
            self.account.give_permit_back(now, (self.job_id, self.lease))
            self.account.no_probe(self.job_id, now)
            self.in_flight = False

    def watch(self) -> None:
        self.watched = self.expires is not None

    def has_waited(self) -> None:
        if self.waits:
            self.waits = False
            self.turns.waited(self.in_lane)

    @property
    def in_lane(self) -> Lane:
        return self.priority, self.lane or ""

    def poll_in(self, now: int, delay: int) -> None:
        self.pace = delay
        self.wait(now + delay)

    def queue_poll(self) -> None:
        """Queue a due poll. The poll that is later in proportion to its pace goes first."""
        self.enqueue_poll(self.due + self.pace)

    def enqueue_poll(self, at: int) -> None:
        """Queue a poll. A poll with a callback signal precedes the others."""
        signalled = self.signalled is not None and self.signalled >= (self.seen or 0)
        self.index, self.owned = "ready:polls:main", False
        self.due = (self.signalled or 0) + SIGNALLED if signalled else at

    # Tasks

    def adopt(self, now: int, attempt: int, task_id: str, by: Source, *, delay: int = 0) -> Adoption:
        known, sure = self.task(task_id), by == "answer"
        if attempt == 0:
            return Adoption.MISMATCHED
        if sure:
            self.learn(now, attempt)
        if known and known.state is OPEN:
            self.heard_again(now, known, attempt, delay if sure else None)
            return Adoption.EXPECTED
        if known and known.state is not TaskState.LOST:
            return Adoption.REPEATED
        called_back = by == "callback"
        if not sure and self.cannot_have(task_id, attempt, called_back=called_back):
            if called_back:
                self.was_wrong()
            return Adoption.MISMATCHED
        waited = None if sure else self.take_candidate(task_id)
        if called_back:
            self.make_room()
        if known:
            self.tasks.remove(known)
        else:
            self.forget_one()
        known = known or waited or Known(task_id, attempt, sure)
        known.state, known.sure, known.attempt = OPEN, known.sure or sure, attempt
        known.foreign, known.tried = False, False
        self.tasks.insert(0, known)
        if sure:
            self.is_certain(attempt)
        self.follow(now, attempt, sure, delay)
        return Adoption.ADOPTED

    def prove(self, now: int, attempt: int) -> Adoption:
        """A callback proves the attempt, and names no task that can be read."""
        for task in self.tasks:
            if task.sure and task.attempt == attempt and task.state is not TaskState.LOST:
                if task.state is not OPEN:
                    return Adoption.REPEATED
                if self.state is JobState.GENERATING or self.stored:
                    self.poll_soon(now)
                return Adoption.EXPECTED
        if self.proven == attempt:
            return Adoption.UNNAMED
        self.proven = attempt
        self.hold_again(attempt)
        if self.has_outcome and not self.open_task:
            self.leave_doubtful(())
        self.log.append("accepted_unnamed")
        if self.state is JobState.QUEUED:
            self.doubt_instead(now, attempt)
        elif self.state is JobState.IN_DOUBT:
            self.lease, self.owned = self.lease + 1, False
        elif self.state is JobState.GENERATING and self.doubtful is None and self.waits_in_vain:
            self.doubtful = attempt
        return Adoption.UNNAMED

    def doubt_instead(self, now: int, attempt: int) -> None:
        """Do not send the job again: that attempt was accepted."""
        self.take_back(now)
        self.state, self.lease, self.doubtful = JobState.IN_DOUBT, self.lease + 1, attempt
        self.ready_since = None
        self.wait(now + PROVEN_GRACE)

    @property
    def waits_in_vain(self) -> bool:
        """True if all of its open tasks may be invented."""
        return not any(task.sure for task in self.tasks if task.state is OPEN)

    def learn(self, now: int, attempt: int) -> None:
        """Learn from the answer to the last attempt, also after a callback."""
        if attempt == self.attempt and self.state in (JobState.SENDING, JobState.GENERATING):
            if self.permit and not self.answered:
                self.answered = True
                self.account.answered(now, self.sent_at, self.permit)
            self.account.accepted(now, self.job_id, self.sent_at)

    def is_certain(self, attempt: int | None) -> None:
        """Clear the doubt about an attempt whose task the provider has confirmed."""
        if self.doubtful == attempt:
            self.doubtful = None

    def confirmed(self, now: int, attempt: int) -> None:
        """A poll has confirmed the task of that attempt: its answer was no trouble."""
        self.is_certain(attempt)
        self.account.no_trouble(now, self.job_id)

    def follow(self, now: int, attempt: int, sure: bool, delay: int) -> None:
        """Follow a new open task."""
        ends = {known.state for known in self.tasks if known.attempt == attempt}
        if not ends & {TaskState.SUCCEEDED, TaskState.FAILED}:
            self.hold_again(attempt)
        if self.has_outcome:
            self.log.append("late_answer")
            if self.stored:
                self.poll_soon(now)
        elif self.state is JobState.SENDING and attempt != self.attempt:
            # The outcome of the later attempt on the wire decides first.
            self.log.append("adopted")
        elif sure and self.state is not JobState.GENERATING:
            self.generate(now)
            self.poll_in(now, delay)
            self.log.append("generating")
        else:
            if self.state is JobState.SENDING:
                # The attempt's own answer is no longer waited for.
                self.doubtful = attempt
            self.log.append("adopted")
            self.go_on_polling(now)

    def heard_again(self, now: int, known: Known, attempt: int, answered: int | None) -> None:
        """Handle an open task that is named again; ``answered`` is the delay if an answer names it."""
        if answered is not None:
            known.sure, known.attempt = True, attempt
            self.is_certain(attempt)
            if self.state is not JobState.SENDING or attempt != self.attempt:
                return
        self.tasks.remove(known)
        self.tasks.insert(0, known)
        if answered is not None:
            self.generate(now)
            self.poll_in(now, answered)
            self.log.append("generating")
            return
        if self.state is JobState.GENERATING:
            self.task_id = known.task_id
        if self.state is JobState.GENERATING or self.stored:
            self.poll_soon(now)

    def poll_soon(self, now: int) -> None:
        """Bring the next poll forward. Signals cause at most one poll a second."""
        self.signalled = now
        if self.polling is not None and self.index == "due":
            return
        at = now if self.seen is None else self.seen + SIGNAL_PAUSE
        if self.index == "ready:polls:main":
            self.due = min(now + SIGNALLED, self.due)
        elif at <= now:
            self.index, self.due, self.owned = "ready:polls:main", now + SIGNALLED, False
        else:
            self.wait(min(at, self.due) if self.index == "due" else at)

    def owe_nothing(self, attempt: int) -> None:
        """Release the money of a refused attempt, unless a task of it is open."""
        if all(known.attempt != attempt for known in self.tasks if known.state is OPEN):
            self.release(attempt)

    def generate(self, now: int) -> None:
        assert self.open_task
        if self.state is JobState.QUEUED:
            self.take_back(now)
        if self.deadline is None or self.state in (JobState.IN_DOUBT, JobState.QUEUED):
            # The job did not wait for a task before.
            self.deadline = max(self.deadline or 0, now + self.allowance)
        self.state, self.task_id = JobState.GENERATING, self.open_task.task_id
        if self.index == "ready":
            self.index = None
        self.held_at, self.ready_since, self.in_flight = None, None, True

    def go_on_polling(self, now: int) -> bool:
        if not self.open_task:
            return False
        self.generate(now)
        self.poll_soon(now)
        return True

    def polled(
        self, now: int, delay: int, task_id: str | None, *, sure: bool = False, attempt: int | None = None
    ) -> None:
        signalled = self.signalled is not None and self.polling is not None and self.signalled >= self.polling
        self.polls, self.polling, self.seen = self.polls + 1, None, now
        if task_id and (task := self.task(task_id)):
            unsure = not task.sure
            task.sure, task.attempt = task.sure or sure, attempt or task.attempt
            if task.sure and unsure:
                self.confirmed(now, task.attempt)
            elif task.sure:
                self.is_certain(task.attempt)
            self.tasks.remove(task)
            self.tasks.append(task)
            soon = False
            if not task.sure:
                self.was_not_found(task)
                first = self.open_task
                soon = first is not None and not (first.sure or first.tried)
            elif sure:
                self.owners.setdefault(task_id, self.job_id)
            if self.state is JobState.GENERATING and self.open_task:
                self.task_id = self.open_task.task_id
            signalled = signalled or soon
        self.poll_in(now, min(delay, SIGNAL_PAUSE) if signalled else delay)
        self.log.append("polled")
