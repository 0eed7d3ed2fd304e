"""The calls of the scripts that copy images. Each script in ``lua/`` documents what it does."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from limner._redis import record_error
from limner.ledger.messages import Milliseconds, moment
from limner.ledger.record import Record
from limner.ledger.scripts.calls import record_of
from limner.ledger.scripts.script import Count, Json, Script, YesOrNo


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginCopiesCall(Script[Record | None]):
    """The call that begins the copies of a job's images."""

    NAME: ClassVar[str] = "begin_copies"
    job: str
    lease: int
    copy_lease: Milliseconds

    def read(self, reply: Any) -> Record | None:
        """The record; None if the step is stale."""
        now, record = reply
        return record_of(self.job, record, moment(now))


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanCopyCall(YesOrNo):
    """The call that renews the lease of copies, and records what an image is about to become."""

    NAME: ClassVar[str] = "plan_copy"
    job: str
    lease: int
    copy_lease: Milliseconds
    number: int | None
    file: Json | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportCopiesCall(Script[tuple[Literal["stale", "copied", "noted"], Record | None]]):
    """The call that records a try to copy a job's images: copying → succeeded, or no change."""

    NAME: ClassVar[str] = "report_copies"
    job: str
    lease: int
    stored: Json
    error: Json | None
    delay: Milliseconds
    give_up: bool
    overdue: bool
    result: Json | None
    ttl: Milliseconds
    store_lease: Milliseconds

    def read(self, reply: Any) -> tuple[Literal["stale", "copied", "noted"], Record | None]:
        """The outcome, and the record if its result is to be stored."""
        what, record = reply
        if error := record_error(what):
            raise error
        return what, record_of(self.job, record)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverCall(Script[Record | None]):
    """The call that ends a job before its images are copied: copying → succeeded."""

    NAME: ClassVar[str] = "deliver"
    job: str
    lease: int
    store_lease: Milliseconds

    def read(self, reply: Any) -> Record | None:
        """The record of the end; None if the step is stale."""
        return record_of(self.job, reply)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryCopiesCall(Count):
    """The call that has a job's images copied now; the number of them, -1 for an unknown job."""

    NAME: ClassVar[str] = "retry_copies"
    job: str
