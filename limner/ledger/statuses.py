"""The status of a job, as its producer sees it."""

from dataclasses import dataclass

from limner.ledger.copies import Copies
from limner.ledger.estimates import Estimates
from limner.ledger.queue import Queue
from limner.ledger.record import Record
from limner.ledger.store import Reading
from limner.status import JobStatus


@dataclass(frozen=True, slots=True)
class Statuses:
    """Statuses, from records, the queue and estimates. Raises StoreUnavailable."""

    queue: Queue
    estimates: Estimates
    copies: Copies

    def of(self, record: Record) -> Reading[JobStatus]:
        """The status of the job of a record that has just been read."""
        position, due = (None, None)
        if not record.state.ended:
            position, due = yield from self.queue.position(record.job_id)
        next_copy_at = (yield from self.copies.next_try(record.job_id)) if record.copies else None
        expected = yield from self.estimates.of(record)
        return JobStatus(
            job_id=record.job_id,
            state=record.state,
            position=position,
            attempts=record.attempt,
            polls=record.polls,
            task_id=record.task_id,
            created_at=record.created_at,
            sent_at=record.sent_at,
            finished_at=record.finished_at,
            tasks=record.tasks,
            resubmitted=record.resubmitted,
            copies=record.copies,
            copy_tries=record.copy_tries,
            next_copy_at=next_copy_at,
            wrong_ids=record.wrong_ids,
            held=record.held_at is not None,
            next_step_at=due,
            over_budget=record.over_budget,
            lane=record.lane,
            namespace=record.namespace,
            account=record.account,
            expires_at=record.expires_at,
            starts_at=expected.starts_at,
            ends_at=expected.ends_at,
            paused=expected.paused,
            last_error=(record.last_error or {}).get("message"),
            faulted=record.faulted,
            raw=record.raw,
            request=record.request,
            metadata=record.metadata,
        )
