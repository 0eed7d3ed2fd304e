"""One job, as its producer holds it."""

from enum import StrEnum
from typing import Final, TypeVar

from limner.errors import Cancelled, InDoubt, InvalidRequest, InvalidState, UnknownJob
from limner.ledger import Adoption, Ledger, Reading, Record
from limner.loops import EventLoops
from limner.models import Images
from limner.status import JobState, JobStatus, LogEntry
from limner.subscription import Subscription
from limner.waiting import still_waiting, unknown

T = TypeVar("T")

MAX_TASK_ID: Final = 256


class Cancellation(StrEnum):
    """The outcome of cancelling a job."""

    BEFORE_SENDING = "before_sending"
    """No request of it was sent, or each was refused for certain: the job costs nothing."""
    AFTER_SENDING = "after_sending"
    """A request had been sent: the provider may charge for the task, or has charged for it already."""
    ALREADY_ENDED = "already_ended"
    """The job had ended; its result stays."""


class Job:
    """A submitted job. Cheap to make, holds no connection of its own.

    Each method has a twin for asynchronous code, whose name begins with ``a``; see
    :class:`~limner.client.Limner`. All raise StoreUnavailable.
    """

    def __init__(
        self,
        job_id: str,
        ledger: Ledger,
        loops: EventLoops,
        waits: Subscription,
        *,
        created: bool | None = None,
        namespace: str = "",
    ) -> None:
        self.id = job_id
        self.created = created
        """True if the submit that returned this made the job, False if its key or id led to a known one; None
        of a job that was not submitted here."""
        self._ledger = ledger
        self._loops = loops
        self._waits = waits
        self._namespace = namespace

    def __repr__(self) -> str:
        return f"Job({self.id!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Job) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def status(self) -> JobStatus:
        """The state of the job; raises UnknownJob."""
        return self._ledger.store.ask(self._status())

    async def astatus(self) -> JobStatus:
        """:meth:`status` for asynchronous code; it holds no thread."""
        return await self._ask(self._status())

    def _status(self) -> Reading[JobStatus]:
        record = yield from self._reading()
        return (yield from self._ledger.statuses.of(record))

    def result(self, timeout: float | None = None) -> Images:
        """Block until the job has ended, and return its images or raise its JobFailed.

        Raises :class:`~limner.errors.WaitTimeout` after ``timeout`` seconds; the job continues. A Redis that
        is away is waited for, up to half a minute, if the time lasts. All waits of a client, in any number of
        threads and event loops, share one connection.
        """
        if timeout is not None and timeout <= 0:
            return _images_now(self._read(), timeout)
        return _images(self._waits.wait(self.id, timeout, self._namespace))

    async def aresult(self, timeout: float | None = None) -> Images:
        """:meth:`result` for asynchronous code; it holds no thread."""
        if timeout is not None and timeout <= 0:
            return _images_now(await self._aread(), timeout)
        return _images(await self._waits.await_(self.id, timeout, self._namespace))

    wait = aresult
    """The same as :meth:`aresult`."""

    def cancel(self) -> Cancellation:
        """End the job now, and return whether its request had been sent; raises UnknownJob."""
        self._check_namespace()
        found = cancel(self._ledger, self.id)
        if found is None:
            raise self._unknown()
        if found.ended:
            return Cancellation.ALREADY_ENDED
        return Cancellation.BEFORE_SENDING if found is JobState.QUEUED else Cancellation.AFTER_SENDING

    async def acancel(self) -> Cancellation:
        """:meth:`cancel` for asynchronous code."""
        return await self._loops.in_thread(self.cancel)

    def adopt(self, task_id: str) -> None:
        """Say that a task of the provider belongs to this job's last attempt.

        The next poll confirms it, and delivers its images even if the job has failed. Raises UnknownJob,
        InvalidRequest for what cannot be a task's id, and InvalidState if the job has another task for
        certain or this one has ended.
        """
        task_id = task_id.strip()
        if not task_id or len(task_id) > MAX_TASK_ID or not task_id.isprintable() or " " in task_id:
            raise InvalidRequest(f"task_id: one printable word of at most {MAX_TASK_ID} characters")
        record = self._read()
        at_work = record.open_task
        if not record.state.ended and record.doubtful is None and at_work and at_work.confirmed:
            raise InvalidState(f"task_id: job {self.id} has task {at_work.task_id} for certain")
        found = self._ledger.jobs.adopt(self.id, task_id)
        if found is Adoption.UNKNOWN_JOB:
            raise self._unknown()
        if found not in (Adoption.ADOPTED, Adoption.EXPECTED):
            raise InvalidState(f"task_id: job {self.id} cannot adopt it ({found})")

    async def aadopt(self, task_id: str) -> None:
        """:meth:`adopt` for asynchronous code."""
        await self._loops.in_thread(self.adopt, task_id)

    def reread(self) -> None:
        """Have the ended tasks of this job read again, if it has ended without its images.

        If the provider shows images by now, they are delivered. Raises UnknownJob, and InvalidState if there
        is nothing to read.
        """
        self._check_namespace()
        found = self._ledger.jobs.reread(self.id)
        if found < 0:
            raise self._unknown()
        if found == 0:
            raise InvalidState(f"job {self.id} has no ended task whose images are missing")

    async def areread(self) -> None:
        """:meth:`reread` for asynchronous code."""
        await self._loops.in_thread(self.reread)

    def retry_copies(self) -> int:
        """Have the images of this job copied now that are not stored yet; returns their number.

        Also after their copies have failed. Raises UnknownJob, and InvalidState if nothing is left to copy.
        """
        self._check_namespace()
        left = self._ledger.copies.retry(self.id)
        if left < 0:
            raise self._unknown()
        if left == 0:
            raise InvalidState(f"job {self.id} has no images that are still to be copied")
        return left

    async def aretry_copies(self) -> int:
        """:meth:`retry_copies` for asynchronous code."""
        return await self._loops.in_thread(self.retry_copies)

    def resubmit(self, attempt: int | None = None) -> None:
        """Send a job that is in doubt again, at the risk of paying twice.

        ``attempt`` is the one that the decision is about; without it, the one that is in doubt now. Raises
        UnknownJob, and InvalidState if that attempt is not in doubt.
        """
        attempt = self._doubtful(attempt).doubtful
        if not self._ledger.jobs.resubmit(self.id, attempt=attempt):
            raise self._not_in_doubt()

    async def aresubmit(self, attempt: int | None = None) -> None:
        """:meth:`resubmit` for asynchronous code."""
        await self._loops.in_thread(self.resubmit, attempt)

    def give_up(self, attempt: int | None = None) -> None:
        """End a job that is in doubt in InDoubt; the rest is as with :meth:`resubmit`.

        Should a callback come after all, its images are delivered still.
        """
        error = InDoubt(
            "It is not known whether the provider accepted the request, and a person gave it up",
            {"job_id": self.id},
        )
        lease = self._doubtful(attempt).lease
        if not self._ledger.jobs.fail(self.id, error, [JobState.IN_DOUBT], lease=lease):
            raise self._not_in_doubt()

    async def agive_up(self, attempt: int | None = None) -> None:
        """:meth:`give_up` for asynchronous code."""
        await self._loops.in_thread(self.give_up, attempt)

    def _doubtful(self, attempt: int | None) -> Record:
        record = self._read()
        if record.state is not JobState.IN_DOUBT or (attempt is not None and attempt != record.doubtful):
            raise self._not_in_doubt(attempt)
        return record

    def _not_in_doubt(self, attempt: int | None = None) -> InvalidState:
        which = "it" if attempt is None else f"attempt {attempt}"
        return InvalidState(
            f"job {self.id} is {self._read().state}, and {which} is not in doubt, or was resolved just now"
        )

    def log(self) -> list[LogEntry]:
        """Every attempt, answer, wait and poll, oldest first; raises UnknownJob. Bounded to the last 200."""
        return self._ledger.store.ask(self._log())

    async def alog(self) -> list[LogEntry]:
        """:meth:`log` for asynchronous code; it holds no thread."""
        return await self._ask(self._log())

    def _log(self) -> Reading[list[LogEntry]]:
        yield from self._reading()
        return (yield from self._ledger.journal.reading_of_log(self.id))

    def _unknown(self) -> UnknownJob:
        return unknown(self.id)

    def _reading(self) -> Reading[Record]:
        key = self._ledger.jobs.key(self.id)
        fields, time = yield lambda pipe: (pipe.hgetall(key), pipe.time())
        if not fields:
            raise self._unknown()
        if self._namespace and fields.get("namespace", "") != self._namespace:
            raise self._unknown()
        return Record.from_hash(self.id, fields, self._ledger.store.moment(time))

    def _check_namespace(self) -> None:
        # No job changes its namespace, so this need not be part of the transition.
        if self._namespace:
            self._read()

    def _read(self) -> Record:
        return self._ledger.store.ask(self._reading())

    async def _aread(self) -> Record:
        return await self._ask(self._reading())

    async def _ask(self, reading: Reading[T]) -> T:
        return await self._loops.call(lambda client: self._ledger.store.aask(client, reading))


def _images_now(record: Record, timeout: float) -> Images:
    if not record.state.ended:
        raise still_waiting(record.job_id, record.state, timeout)
    return _images(record)


def _images(record: Record) -> Images:
    if failure := record.failure:
        raise failure
    return record.images()


def cancel(ledger: Ledger, job_id: str) -> JobState | None:
    """End a job now; returns the state in which it was found, None for an unknown job."""
    return ledger.jobs.cancel(
        job_id,
        unsent=Cancelled("The job was cancelled before it was sent", {"job_id": job_id, "charged": "no"}),
        sent=Cancelled(
            "The job was cancelled after it was sent; the provider may charge for it",
            {"job_id": job_id, "charged": "maybe"},
        ),
    )
