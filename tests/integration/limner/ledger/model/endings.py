"""The effects of a task's end on a job of the model. Times are in milliseconds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from limner.status import JobState, TaskState
from tests.integration.limner.ledger.model.following import PROVEN_GRACE, Followed
from tests.integration.limner.ledger.model.naming import OPEN, Known


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
    ) -> str:
        if task.state is not OPEN and not (task.state is TaskState.LOST and result is not TaskState.LOST):
            repeated = task.state is result and self.state.ended and self.outcome == outcome
            return "ended" if repeated else "stale"
        if result is TaskState.SUCCEEDED and self.owners.setdefault(task.task_id, self.job_id) != self.job_id:
            # A task is the result of one job only.
            result, outcome, foreign, grace = TaskState.LOST, {}, True, PROVEN_GRACE
            attempt, spent, urls = None, None, ()
        task.state, task.credits, task.foreign = result, spent, foreign
        task.attempt = attempt or task.attempt
        self.polls, self.polling, self.seen = self.polls + 1, None, now
        if result is TaskState.SUCCEEDED or (result is TaskState.FAILED and spent is not None):
            self.spend(now, task.attempt, spent)
        elif result is TaskState.FAILED:
            self.release(task.attempt)
        self.doubt_after(now, task)
        self.replace_ended(task)
        if result is TaskState.SUCCEEDED and self.state not in (JobState.SUCCEEDED, JobState.CANCELLED):
            late = self.state.ended
            self.task_id = task.task_id
            event = "succeeded_late" if late else "succeeded"
            self.finish(now, JobState.SUCCEEDED, outcome, store_lease, event)
            return "late" if late else "ended"
        task.urls = tuple(urls)
        if self.state.ended:
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
            self.log.append("double" if self.state is JobState.SUCCEEDED else "late_result")
        else:
            self.log.append(f"task_{result}")
        if not self.open_task:
            self.leave_doubtful(())
        if self.stored and self.open_task:
            self.poll_soon(now)
        elif self.stored:
            self.index = None

    # The end

    def finish(
        self, now: int, state: JobState, outcome: dict[str, Any], store_lease: int, event: str | None = None
    ) -> None:
        if self.state is JobState.QUEUED:
            self.take_back(now)
        self.state, self.outcome, self.finished = state, outcome, now
        self.account.no_probe(self.job_id, now)
        self.has_waited()
        self.watched = False
        self.leave_doubtful({task.attempt for task in self.tasks if task.state is OPEN})
        self.in_flight, self.polling, self.stored = False, None, False
        self.ends.append(now)
        self.wait(now + store_lease)
        self.log.append(event or state)
