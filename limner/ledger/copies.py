"""Copies of paid images: the jobs that wait for them, and what became of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from limner.ledger.layout.keys import COPIES, COPIES_FAILED, JOB, LOG
from limner.ledger.messages import Leases, moment, to_ms
from limner.ledger.record import Record, log_entry
from limner.ledger.scripts.copying import (
    BeginCopiesCall,
    DeliverCall,
    PlanCopyCall,
    ReportCopiesCall,
    RetryCopiesCall,
)
from limner.ledger.scripts.reports import BackendResult
from limner.ledger.store import Reading, Store
from limner.models import ImageFile
from limner.status import PendingCopy

MOST_LISTED: Final = 10_000
"""Jobs that are listed at a time."""

NEWEST_ENTRIES: Final = 5
"""Entries of a job's log among which the reason of its last failure is looked for."""

_FAILURES: Final = frozenset({"not_copied", "copy_overdue", "copy_failed"})


@dataclass(frozen=True, slots=True)
class Stored:
    """An image that is in the storage now."""

    file: ImageFile
    objects: int
    """The objects that were written: the image, and its thumbnail if there is one."""
    bytes: int


@dataclass(frozen=True, slots=True)
class Shortfall:
    """The reason why images of a job were not copied, and what follows."""

    error: Mapping[str, Any]
    """A ``cause`` and a ``message``, for the job's log."""
    delay: float
    """Seconds until the next try."""
    give_up: bool = False
    """True if there is no next try."""
    overdue: bool = False
    """True if a person should know."""


COMPLETE: Final = Shortfall({}, 0.0)
"""Nothing was left to copy."""


@dataclass(frozen=True, slots=True)
class Copies:
    """The copies of an account group. Durations are in seconds.

    Raises :class:`~limner.errors.StoreUnavailable`, and :class:`~limner.errors.RecordUnreadable` for a record
    that this version cannot read.
    """

    store: Store
    leases: Leases

    def begin(self, job_id: str, lease: int) -> Record | None:
        """Take the step that copies a job's images; None if it is stale."""
        span = to_ms(self.leases.copy)
        return self.store.run(BeginCopiesCall(job=job_id, lease=lease, copy_lease=span))

    def renew(self, job_id: str, lease: int) -> bool:
        """Renew the lease of the step; False if it is stale."""
        return self._plan(job_id, lease, None, None)

    def plan(self, job_id: str, lease: int, number: int, file: ImageFile) -> bool:
        """Record the object that an image is about to become, and renew the lease; False if it is stale."""
        return self._plan(job_id, lease, number, file.model_dump(mode="json"))

    def _plan(self, job_id: str, lease: int, number: int | None, file: dict[str, Any] | None) -> bool:
        span = to_ms(self.leases.copy)
        return self.store.run(
            PlanCopyCall(job=job_id, lease=lease, copy_lease=span, number=number, file=file)
        )

    def report(
        self,
        job_id: str,
        lease: int,
        stored: Mapping[int, Stored],
        shortfall: Shortfall,
        *,
        ttl: float,
        result: BackendResult | None = None,
    ) -> tuple[Literal["stale", "copied", "noted"], Record | None]:
        """Record what came of a try: the images that are stored now, by number, and why others are not.

        copying → succeeded if the images of the result are stored; ``result`` is stored with it. The record
        is returned if its result is still to be stored. ``ttl`` is the time to live of a record to which
        nothing more can happen.
        """
        return self.store.run(
            ReportCopiesCall(
                job=job_id,
                lease=lease,
                stored={
                    str(number): {
                        "file": one.file.model_dump(mode="json"),
                        "objects": one.objects,
                        "bytes": one.bytes,
                    }
                    for number, one in stored.items()
                },
                error=shortfall.error or None,
                delay=to_ms(shortfall.delay),
                give_up=shortfall.give_up,
                overdue=shortfall.overdue,
                result=result.to_json() if result else None,
                ttl=to_ms(ttl),
                store_lease=to_ms(self.leases.store),
            )
        )

    def deliver(self, job_id: str, lease: int) -> Record | None:
        """copying → succeeded: end a job before its images are copied; None if the step is stale."""
        return self.store.run(DeliverCall(job=job_id, lease=lease, store_lease=to_ms(self.leases.store)))

    # Producers and operators

    def retry(self, job_id: str) -> int:
        """Have a job's images copied now that are not stored, also after their copies have failed.

        Returns their number, -1 for an unknown job.
        """
        return self.store.run(RetryCopiesCall(job=job_id))

    def next_try(self, job_id: str) -> Reading[datetime | None]:
        """The time of the next try to copy a job's images, or None."""
        key = COPIES(self.store.prefix)
        [due] = yield lambda pipe: pipe.zscore(key, job_id)
        return None if due is None else moment(round(due))

    def waiting(self) -> list[PendingCopy]:
        """The jobs with images that are still to be copied, the next one first."""
        return self._listed(COPIES(self.store.prefix), failed=False)

    def failed(self) -> list[PendingCopy]:
        """The jobs whose images could not be copied, the oldest first, for as long as records are kept."""
        return self._listed(COPIES_FAILED(self.store.prefix), failed=True)

    def _listed(self, index: str, *, failed: bool) -> list[PendingCopy]:
        fields = ("copy_since", "copy_tries", "namespace")
        with self.store.client() as client:
            found = client.zrange(index, 0, MOST_LISTED - 1, withscores=True)
            with client.pipeline(transaction=False) as pipe:
                for job_id, _ in found:
                    pipe.hmget(JOB(self.store.prefix, job_id), fields)
                    pipe.lrange(LOG(self.store.prefix, job_id), -NEWEST_ENTRIES, -1)
                read = pipe.execute()
            records, logs = read[::2], read[1::2]
            gone = [job_id for (job_id, _), known in zip(found, records, strict=True) if not known[0]]
            if gone:
                client.zrem(index, *gone)
        rows = zip(found, records, logs, strict=True)
        listed = (_pending(job_id, at, known, log, failed=failed) for (job_id, at), known, log in rows)
        return [pending for pending in listed if pending]


def _pending(
    job_id: str, at: float, known: list[str | None], log: list[str], *, failed: bool
) -> PendingCopy | None:
    since, tries, namespace = known
    try:
        return PendingCopy(
            job_id=job_id,
            failed=failed,
            since=moment(int(since or "")),
            tries=int(tries or 0),
            at=moment(round(at)),
            last_error=_last_error(log),
            namespace=namespace or "",
        )
    except (ValueError, OverflowError):
        # There is no record any more, or it is damaged, and among those that are set apart.
        return None


def _last_error(log: list[str]) -> str | None:
    for text in reversed(log):
        entry = log_entry(text)
        if entry.event in _FAILURES:
            error = entry.detail.get("error")
            return str(error["message"]) if isinstance(error, dict) and "message" in error else None
    return None
