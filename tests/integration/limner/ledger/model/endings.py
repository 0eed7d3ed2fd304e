"""The effects of a task's end on a job of the model. Times are in milliseconds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from limner.status import JobState, TaskState
from tests.integration.limner.ledger.model.following import PROVEN_GRACE, Copied, Followed
from tests.integration.limner.ledger.model.naming import OPEN, Known

DELIVERED: Final = (JobState.SUCCEEDED, JobState.CANCELLED, JobState.COPYING)
"""The states in which another task is no result."""


@dataclass
class Ending(Followed):
    """The expected state of a job whose tasks end."""

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
        attempt: int | None = None,
        spent: str | None = None,
        urls: Sequence[str] = (),
        copy: int | None = None,
    ) -> str:
        if task.state is not OPEN and not (task.state is TaskState.LOST and result is not TaskState.LOST):
            return self.told_again(task.state is result and self.outcome == outcome)
        if result is TaskState.SUCCEEDED and self.owners.setdefault(task.task_id, self.job_id) != self.job_id:
            # A task is the result of one job only.
            result, outcome, foreign, grace = TaskState.LOST, {}, True, PROVEN_GRACE
            attempt, spent, urls, copy = None, None, (), None
        task.state, task.credits, task.foreign = result, spent, foreign
        task.attempt = attempt or task.attempt
        self.polls, self.polling, self.seen = self.polls + 1, None, now
        if result is TaskState.SUCCEEDED or (result is TaskState.FAILED and spent is not None):
            self.spend(now, task.attempt, spent)
        elif result is TaskState.FAILED:
            self.release(task.attempt)
        self.doubt_after(now, task)
        self.replace_ended(task)
        self.add_copies(now, task.task_id, urls, copy)
        if result is TaskState.SUCCEEDED and self.state not in DELIVERED:
            return self.delivered(now, task, outcome, copy, store_lease)
        task.urls = tuple(urls)
        if self.has_outcome:
            self.noted_after_the_end(now, result, spent)
            return "noted"
        if self.state in (JobState.QUEUED, JobState.SENDING):
            # The outcome of the next attempt decides.
            self.log.append(f"task_{result}")
            return "noted"
        self.verdict = outcome if result is TaskState.FAILED else self.verdict
        waits_for_more = self.go_on_polling(now)
        if self.verdict and self.doubtful is None and not waits_for_more:
            self.finish(now, JobState.FAILED, self.verdict, store_lease)
            return "ended"
        self.log.append(f"task_{result}")
        if self.state is JobState.GENERATING and not waits_for_more:
            self.without_a_task(now, grace)
        return "noted"

    def told_again(self, same: bool) -> str:
        """The reply for a task whose end was known already."""
        if not same or not self.has_outcome:
            return "stale"
        return "ended" if self.state.ended else "copying"

    def delivered(
        self, now: int, task: Known, outcome: dict[str, Any], copy: int | None, store_lease: int
    ) -> str:
        """The task is the job's result."""
        late = self.state.ended
        self.task_id = task.task_id
        if copy and not late:
            self.await_copies(now, outcome, copy)
            return "copying"
        event = "succeeded_late" if late else "succeeded"
        self.finish(now, JobState.SUCCEEDED, outcome, store_lease, event)
        return "late" if late else "ended"

    def without_a_task(self, now: int, grace: int) -> None:
        self.task_id, self.in_flight = None, False
        if self.doubtful is None:
            # The refusal of its attempt stands.
            self.state = JobState.QUEUED
            self.wait(now)
            self.watch()
        else:
            self.state, self.lease = JobState.IN_DOUBT, self.lease + 1
            self.wait(now + grace)
            self.log.append("in_doubt")

    def doubt_after(self, now: int, task: Known) -> None:
        """Clear the doubt about a confirmed task; the loss of a confirmed task leaves a new one."""
        if task.state is not TaskState.LOST:
            if task.sure:
                self.is_certain(task.attempt)
            else:
                self.confirmed(now, task.attempt)
            task.sure = True
        elif task.sure and self.state is JobState.GENERATING:
            self.doubtful = task.attempt

    def noted_after_the_end(self, now: int, result: TaskState, spent: str | None) -> None:
        self.paid_failures += result is TaskState.FAILED and spent is not None
        if result is TaskState.SUCCEEDED or spent is not None:
            paid_twice = self.state in (JobState.SUCCEEDED, JobState.COPYING)
            self.log.append("double" if paid_twice else "late_result")
        else:
            self.log.append(f"task_{result}")
        if not self.open_task:
            self.leave_doubtful(())
        if self.stored and self.open_task:
            self.poll_soon(now)
        elif self.stored:
            self.index = None

    # Copies

    def add_copies(self, now: int, task_id: str, urls: Sequence[str], copy: int | None) -> None:
        if copy is None:
            return
        self.copies += [Copied(task_id, url) for url in urls]
        self.copy_due, self.copy_failed, self.copy_tries = now, False, 0
        self.copy_lease += 1

    def await_copies(self, now: int, outcome: dict[str, Any], patience: int) -> None:
        self.leave_provider(now)
        self.state, self.outcome, self.lease = JobState.COPYING, outcome, self.lease + 1
        self.wait(now + patience)
        self.log.append("copying")

    def may_copy(self, lease: int) -> bool:
        return self.copy_due is not None and self.copy_lease == lease

    @property
    def uncopied(self) -> list[Copied]:
        return [copy for copy in self.copies if not copy.stored]

    def tried(self, now: int, numbers: Iterable[int], *, delay: int, give_up: bool, store_lease: int) -> str:
        """A try has stored these images, and has failed with the others."""
        for number in numbers:
            self.copies[number - 1].stored = True
        self.copy_lease += 1
        if not self.uncopied:
            self.copy_due, self.copy_tries = None, 0
            self.log.append("copied")
        elif give_up:
            self.copy_due, self.copy_failed = None, True
            self.log.append("copy_failed")
            if self.state is JobState.COPYING:
                self.wait(now)
        else:
            self.copy_due, self.copy_tries = now + delay, self.copy_tries + 1
            self.log.append("not_copied")
        return self.has_result_copied(now, store_lease)

    def has_result_copied(self, now: int, store_lease: int) -> str:
        result = [copy.stored for copy in self.copies if copy.task_id == self.task_id]
        delivers = self.state in (JobState.COPYING, JobState.SUCCEEDED)
        if not delivers or self.copied or not result or not all(result):
            return "noted"
        self.copied = True
        if self.state is JobState.COPYING:
            assert self.outcome
            self.finish(now, JobState.SUCCEEDED, self.outcome, store_lease)
        else:
            self.polling, self.stored = None, False
            self.wait(now + store_lease)
        return "copied"

    # The end

    def leave_provider(self, now: int) -> None:
        if self.state is JobState.QUEUED:
            self.take_back(now)
        self.account.no_probe(self.job_id, now)
        self.has_waited()
        self.watched = False
        self.leave_doubtful({task.attempt for task in self.tasks if task.state is OPEN})
        self.in_flight, self.polling = False, None

    def finish(
        self, now: int, state: JobState, outcome: dict[str, Any], store_lease: int, event: str | None = None
    ) -> None:
        self.leave_provider(now)
        self.state, self.outcome, self.finished, self.stored = state, outcome, now, False
        self.ends.append(now)
        self.wait(now + store_lease)
        self.log.append(event or state)
