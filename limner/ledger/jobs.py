"""Jobs: their records, and the transitions between their states."""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from limner.errors import JobFailed, RecordTooNew, RecordUnreadable
from limner.ledger.journal import Journal
from limner.ledger.layout.keys import APART, APART_FAULTS, DOUBTS, JOB
from limner.ledger.memory import Memory
from limner.ledger.messages import (
    FREE,
    Adoption,
    Claim,
    Closing,
    Grant,
    Leases,
    Money,
    Submission,
    Submitted,
    moment,
    to_ms,
)
from limner.ledger.news import report
from limner.ledger.outcomes import failed
from limner.ledger.pieces import PIECE, hashes, members
from limner.ledger.record import Record, TaskEnd
from limner.ledger.scripts.calls import (
    AcceptedCall,
    AdoptCall,
    BeginCall,
    BeginPollsCall,
    CancelCall,
    DoubtCall,
    FailCall,
    HoldCall,
    ProvenCall,
    PutBackCall,
    RenewCall,
    ReportPollsCall,
    RereadCall,
    ResubmitCall,
    RetryCall,
    SetApartCall,
    StoredCall,
    SubmitCall,
)
from limner.ledger.scripts.encoding import of_caps, of_closing, of_prices
from limner.ledger.scripts.reports import Report, to_json
from limner.ledger.store import Store
from limner.namespaces import lane_label
from limner.status import BrokenRecord, JobState


@dataclass(frozen=True, slots=True)
class Jobs:
    """The jobs of an account group. Durations are in seconds.

    Each transition is one script, atomic, and refused by the script itself when the job is not where the
    caller believes it to be. Methods raise :class:`~limner.errors.StoreUnavailable` when Redis does not
    answer in time, and :class:`~limner.errors.RecordUnreadable` for a record that this version cannot read.
    """

    store: Store
    leases: Leases
    journal: Journal
    memory: Memory = field(default_factory=Memory)

    # Reading

    def read(self, job_id: str) -> Record | None:
        """The job's record, or None for an unknown one."""
        with self.store.pipeline() as pipe:
            pipe.hgetall(self.key(job_id))
            pipe.time()
            fields, time = pipe.execute()
        return Record.from_hash(job_id, fields, self.store.moment(time)) if fields else None

    def read_many(self, job_ids: Sequence[str]) -> list[Record | RecordUnreadable | None]:
        """Their records, in one round trip: None for an unknown job, an error for a record that is broken."""
        with self.store.pipeline() as pipe:
            pipe.time()
            for job_id in job_ids:
                pipe.hgetall(self.key(job_id))
            time, *found = pipe.execute()
        at = self.store.moment(time)
        return [_record(job_id, fields, at) for job_id, fields in zip(job_ids, found, strict=True)]

    def key(self, job_id: str) -> str:
        """The record's key, for asynchronous readers; only the scripts write there."""
        return JOB(self.store.prefix, job_id)

    def doubts(self) -> list[Record]:
        """The jobs with an attempt that the provider may or may not have accepted, the oldest first.

        Jobs that ended in doubt are included for as long as their record is kept. Records that cannot be
        read are left out.
        """
        index = DOUBTS(self.store.prefix)
        records, gone = [], []
        with self.store.client() as client:
            for piece in members(client, index):
                with client.pipeline(transaction=False) as pipe:
                    for job_id, _ in piece:
                        pipe.hgetall(self.key(job_id))
                    found = pipe.execute()
                for (job_id, _), fields in zip(piece, found, strict=True):
                    if not fields:
                        gone.append(job_id)
                    elif record := _readable(job_id, fields):
                        records.append(record)
            for start in range(0, len(gone), PIECE):
                client.zrem(index, *gone[start : start + PIECE])
        return records

    # Records that cannot be read

    def set_apart(self, job_id: str, fault: RecordUnreadable) -> bool:
        """Set a due job apart whose record cannot be read; False if it was set apart before."""
        said = f"NEWER {fault}" if isinstance(fault, RecordTooNew) else str(fault)
        return self.store.run(SetApartCall(job=job_id, fault=said))

    def broken(self) -> list[BrokenRecord]:
        """The jobs that are set apart, those first that have been so for longest."""
        prefix = self.store.prefix
        with self.store.client() as client:
            found = [each for piece in members(client, APART(prefix)) for each in piece]
            [faults] = hashes(client, [APART_FAULTS(prefix)])
        return [BrokenRecord(job_id, faults.get(job_id, ""), moment(round(at))) for job_id, at in found]

    def put_back(self, job_id: str, *, drop: bool = False) -> bool:
        """Have a job tried again that was set apart, or with ``drop`` never. False if it is not set apart.

        A dropped record is kept for 30 days.
        """
        return self.store.run(PutBackCall(job=job_id, drop=drop))

    # On the way to the provider

    @staticmethod
    def submission(new: Submission) -> SubmitCall:
        """The call that writes a new job; for asynchronous callers."""
        return SubmitCall(
            job=new.job_id,
            request=new.request,
            digest=new.digest,
            metadata=new.options.metadata_json,
            priority=new.options.priority,
            key=new.key,
            key_ttl=to_ms(new.key_ttl),
            lane=lane_label(new.namespace, new.options.lane),
            namespace=new.namespace or None,
            account=new.options.account,
            expires_in=None if new.options.expires_in is None else to_ms(new.options.expires_in),
            starts_in=None if new.starts_in is None else to_ms(new.starts_in),
            celery=new.celery,
            remember=None if new.remember is None else to_ms(new.remember),
            too_old=new.too_old,
            uncopied=not new.options.copied,
            folder=new.options.copy_to,
        )

    def submit(self, new: Submission) -> Submitted:
        """Write a new job, unless its id or idempotency key is known. Raises NotDurable, too."""
        [submitted] = self.store.run_durably(self.submission(new))
        return submitted

    def submit_many(self, new: Sequence[Submission]) -> list[Submitted]:
        """Write many jobs in one round trip, each as :meth:`submit` would."""
        return self.store.run_durably(*map(self.submission, new)) if new else []

    def begin(
        self, job_id: str, lease: int, token: str, *, deadline: float, money: Money = FREE
    ) -> Grant | Literal["stale", "late"]:
        """queued → sending: put an attempt on record, with its secret token, before its request goes out.

        ``deadline`` is the time that the job has from its first attempt on. What it is expected to cost is
        held; a job that would break a cap waits, or fails. Calling again with the same token returns the same
        grant. Raises NotDurable, after which nothing may be sent.
        """
        seen = self.memory.seen()
        [granted] = self.store.run_durably(
            BeginCall(
                job=job_id,
                lease=lease,
                token=token,
                epoch=seen.epoch,
                moves=seen.moves,
                attempts=seen.attempts,
                send_lease=to_ms(self.leases.send),
                store_lease=0,
                deadline=to_ms(deadline),
                prices=of_prices(money),
                caps=of_caps(money),
            )
        )
        if isinstance(granted, Grant):
            self.memory.began(job_id, granted.attempt, token, granted.account, granted.epoch, granted.number)
        return granted

    def renew(self, job_id: str, attempt: int, token: str) -> bool:
        """Count the request of an attempt from now, because it is about to go out only now.

        False if it must not go out any more.
        """
        return self.store.run(
            RenewCall(job=job_id, attempt=attempt, token=token, send_lease=to_ms(self.leases.send))
        )

    # What the provider answers, or somebody else says of it

    def accepted(self, job_id: str, attempt: int, task_id: str, *, poll_in: float) -> Adoption:
        """The provider's answer to an attempt names its task: sending, in_doubt, queued → generating.

        Of a job that has ended, or that has another task already, this one is followed as well.
        """
        self.memory.accepted(job_id, attempt, task_id)
        adoption, news = self.store.run(
            AcceptedCall(job=job_id, attempt=attempt, task_id=task_id, delay=to_ms(poll_in))
        )
        report(news)
        if adoption is Adoption.UNKNOWN_JOB:
            # The ledger was emptied meanwhile. The task may be paid for.
            self.journal.keep_unmatched(job_id, task_id)
        return adoption

    def called_back(self, job_id: str, token: str, task_id: str) -> Adoption:
        """A callback names a task. Its token proves the attempt; the task is to be confirmed by a poll."""
        attempt = self.attempt_of(job_id, token)
        if attempt is None:
            self.journal.keep_unmatched(job_id, task_id)
            return Adoption.UNKNOWN_JOB
        if not attempt:
            if self._has_gap(job_id):
                # The token may be the one of an attempt that Redis has lost.
                self.journal.keep_unmatched(job_id, task_id)
            return self._bad_token()
        return self.store.run(AdoptCall(job=job_id, attempt=attempt, task_id=task_id, by="callback"))

    def accepted_unnamed(self, job_id: str, token: str) -> Adoption:
        """A callback names no task that can be read. Its token proves that the attempt was accepted.

        The job is not sent again for that attempt. If the attempt's task is known, it is polled at once.
        """
        attempt = self.attempt_of(job_id, token)
        if attempt is None:
            self.journal.count_callback(Adoption.UNKNOWN_JOB)
            return Adoption.UNKNOWN_JOB
        return self.store.run(ProvenCall(job=job_id, attempt=attempt)) if attempt else self._bad_token()

    def attempt_of(self, job_id: str, token: str) -> int | None:
        """The attempt of the job that has this token, 0 if none has it; None for an unknown job."""
        with self.store.client() as client:
            fields = client.hgetall(self.key(job_id))
        if not fields:
            return None
        given, found = token.encode("utf-8", "replace"), 0
        # All are compared, so that the time taken reveals nothing.
        for attempt, secret in Record.from_hash(job_id, fields).tokens.items():
            if hmac.compare_digest(secret.encode(), given):
                found = attempt
        return found

    def _has_gap(self, job_id: str) -> bool:
        with self.store.client() as client:
            return client.hget(self.key(job_id), "gap") is not None

    def _bad_token(self) -> Adoption:
        self.journal.count_callback(Adoption.BAD_TOKEN)
        return Adoption.BAD_TOKEN

    def adopt(self, job_id: str, task_id: str) -> Adoption:
        """A person says that a task belongs to the job's last attempt; a poll is to confirm it."""
        record = self.read(job_id)
        if record is None:
            return Adoption.UNKNOWN_JOB
        return self.store.run(AdoptCall(job=job_id, attempt=record.attempt, task_id=task_id, by="person"))

    def retry(
        self,
        job_id: str,
        attempt: int,
        error: Mapping[str, Any],
        *,
        delay: float,
        pause: Closing | None = None,
        uncounted: float | None = None,
        unsent: bool = False,
        doubtful: bool = False,
    ) -> bool:
        """sending → queued: the provider refused this attempt, or with ``unsent`` has never had it.

        ``pause`` is what the answer says about the whole account. An attempt with ``uncounted`` seconds does
        not count, and neither do these; it is the same with a pause. With ``doubtful``, a task may exist all
        the same, and the attempt counts.
        """
        if uncounted is None and pause is not None and not doubtful:
            uncounted = delay
        if not doubtful:
            self.memory.refused(job_id, attempt)
        done, news = self.store.run(
            RetryCall(
                job=job_id,
                attempt=attempt,
                error=error,
                delay=to_ms(delay),
                pause=None if pause is None else of_closing(pause, error),
                uncounted=None if uncounted is None else to_ms(uncounted),
                unsent=unsent,
                doubtful=doubtful,
            )
        )
        report(news)
        return done

    def doubt(
        self,
        job_id: str,
        attempt: int,
        error: Mapping[str, Any],
        *,
        grace: float,
        pause: Closing | None = None,
        task_ids: Sequence[str] = (),
    ) -> bool:
        """sending → in_doubt: whether the provider accepted is not known. To be recovered after ``grace``.

        ``pause`` is what the answer, or its absence, says about the whole account. Each of ``task_ids`` may
        be the id of the task, and is followed until a poll has confirmed or dropped it.
        """
        done, news = self.store.run(
            DoubtCall(
                job=job_id,
                attempt=attempt,
                error=error,
                grace=to_ms(grace),
                pause=None if pause is None else of_closing(pause, error),
                task_ids=list(task_ids),
            )
        )
        report(news)
        return done

    def hold(self, job_id: str, lease: int, *, ask_again_in: float) -> bool:
        """in_doubt: leave the decision to a person; the job is to be recovered again after that time."""
        return self.store.run(HoldCall(job=job_id, lease=lease, delay=to_ms(ask_again_in)))

    def resubmit(self, job_id: str, *, lease: int | None = None, attempt: int | None = None) -> int:
        """in_doubt → queued, at the risk of paying twice.

        By policy it is done with the lease, and only once; by a person with the attempt that is in doubt.
        Returns how often the job has been resubmitted, 0 if it may not be.
        """
        return self.store.run(ResubmitCall(job=job_id, lease=lease, attempt=attempt))

    # Polls

    def begin_polls(self, polls: Sequence[Claim]) -> list[Record | RecordUnreadable | None]:
        """The records of jobs that are to be polled now, for which their permits count from now on.

        None if a step is stale, or has to wait for another permit; an error for a record that is damaged.
        """
        steps = [(poll.job_id, poll.lease) for poll in polls]
        if not steps:
            return []
        return self.store.run(BeginPollsCall(polls=steps, poll_lease=to_ms(self.leases.poll)))

    def report_polls(self, reports: Sequence[Report]) -> list[TaskEnd | RecordUnreadable]:
        """Put on record what polls have found, in one script. No report has a part in another's."""
        told = [to_json(report) for report in reports]
        if not told:
            return []
        ends, changes = self.store.run(ReportPollsCall(reports=told, store_lease=to_ms(self.leases.store)))
        for news in changes:
            report(news)
        return ends

    # Ends

    def fail(
        self,
        job_id: str,
        error: JobFailed,
        come_from: Sequence[JobState],
        *,
        lease: int | None = None,
        attempt: int | None = None,
        certain: bool = True,
        pause: Closing | None = None,
    ) -> Record | None:
        """Any of ``come_from`` → failed, if the lease or attempt still holds.

        An ``attempt`` was refused, ``certain`` to cost nothing, or perhaps accepted all the same; ``pause``
        is what its answer says about the whole account. Returns the record of the end, whose result is to be
        stored; None if the step is stale or an earlier attempt's task is still open.
        """
        if attempt and certain:
            self.memory.refused(job_id, attempt)
        record, news = self.store.run(
            FailCall(
                job=job_id,
                outcome=failed(error),
                come_from=dict.fromkeys(come_from, True),
                lease=lease,
                attempt=attempt,
                refused=bool(attempt and certain),
                pause=None if pause is None else of_closing(pause, error.to_json()),
                store_lease=to_ms(self.leases.store),
            )
        )
        report(news)
        return record

    def reread(self, job_id: str) -> int:
        """Have the ended tasks of a job without images polled again.

        Returns their number: 0 if there is none, or the job has not ended or has its images; -1 for an
        unknown job.
        """
        return self.store.run(RereadCall(job=job_id))

    def cancel(self, job_id: str, unsent: JobFailed, sent: JobFailed) -> JobState | None:
        """Any state → cancelled, with the first error before the request is sent and the second after.

        Returns the state in which the job was found, None for an unknown job. An ended job stays as it is.
        """
        return self.store.run(CancelCall(job=job_id, unsent=failed(unsent), sent=failed(sent), store_lease=0))

    def stored(
        self, job_id: str, finished_at: datetime, *, ttl: float, follow: float = 0.0, copied: bool = False
    ) -> bool:
        """The result with which a job ended at that time is in the result backend.

        Its record goes in ``ttl`` seconds; if a task of it is still open, that one is polled after
        ``follow`` seconds, and the record stays. Should the job have another end by now, or its images be
        ``copied`` only now, it is due again.
        """
        return self.store.run(
            StoredCall(
                job=job_id,
                finished=to_ms(finished_at.timestamp()),
                copied=copied,
                ttl=to_ms(ttl),
                follow=to_ms(follow),
            )
        )


def _record(job_id: str, fields: Mapping[str, str], read_at: datetime) -> Record | RecordUnreadable | None:
    try:
        return Record.from_hash(job_id, fields, read_at) if fields else None
    except RecordUnreadable as error:
        return error


def _readable(job_id: str, fields: Mapping[str, str]) -> Record | None:
    try:
        return Record.from_hash(job_id, fields)
    except RecordUnreadable:
        return None
