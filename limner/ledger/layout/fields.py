"""The fields of a job's record, the hash ``job:ID``. Every value is text; a field that does not apply is not
there."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """The type of a field's text."""

    TEXT = "text"
    JSON = "JSON"
    COUNT = "count"
    TIME = "time, ms"
    """Milliseconds since the epoch, by the server's clock."""
    SPAN = "duration, ms"
    AMOUNT = "millionths of a credit"
    FLAG = "1"

    @property
    def is_number(self) -> bool:
        """True if scripts read it as a number."""
        return self not in (Kind.TEXT, Kind.JSON)


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the record, or a group of them: ``token:N`` is one for each attempt."""

    name: str
    kind: Kind
    why: str
    always: bool = False
    """True if every record has it."""

    @property
    def of_attempt(self) -> bool:
        """True if there is one for each attempt, by its number."""
        return self.name.endswith(":N")


FIELDS: Final = (
    Field("v", Kind.COUNT, "the version of this layout", always=True),
    Field("state", Kind.TEXT, "where the job is in its life", always=True),
    Field("request", Kind.JSON, "the parameters that were asked for", always=True),
    Field("digest", Kind.TEXT, "hash of the request; exposes another one under the same key", always=True),
    Field("metadata", Kind.JSON, "the producer's own, which comes back with results and events", always=True),
    Field("priority", Kind.COUNT, "0 to 9, the highest first", always=True),
    Field(
        "turn",
        Kind.COUNT,
        "the place among jobs of the same priority, kept through all attempts",
        always=True,
    ),
    Field("lane", Kind.TEXT, "lanes share the turns of a priority"),
    Field("pinned", Kind.TEXT, "the only account that may send it"),
    Field("created", Kind.TIME, "when it was submitted", always=True),
    Field("expires", Kind.TIME, "when it is not sent any more"),
    Field("key", Kind.TEXT, "the digest of its idempotency key"),
    Field("key_ttl", Kind.SPAN, "how long the key, and the record with it, outlives the job's end"),
    Field("waits", Kind.FLAG, "it has not been sent yet, and counts for its lane"),
    Field("lease", Kind.COUNT, "the number of the last lease: older steps are stale", always=True),
    Field("account", Kind.TEXT, "the account that was last chosen to send it"),
    Field("slot", Kind.TEXT, "the account at which it holds a slot in flight"),
    Field(
        "ready_since", Kind.TIME, "start of its wait for a permit, which does not count against the deadline"
    ),
    Field("over_budget", Kind.TEXT, "the cap for whose money it waits apart: day, or lane:NAME"),
    Field("over_budget_told", Kind.TEXT, "the cap that it was last told of"),
    Field("attempt", Kind.COUNT, "the number of the last attempt", always=True),
    Field("sent", Kind.TIME, "when the last attempt was sent"),
    Field("permit", Kind.COUNT, "the lease with whose permit the last attempt was sent"),
    Field("token:N", Kind.TEXT, "the attempt's secret, which its callback URL holds"),
    Field("account:N", Kind.TEXT, "the account that the attempt was sent with"),
    Field("deadline", Kind.TIME, "when it fails if no task of it has ended"),
    Field("allowance", Kind.SPAN, "the time that a job has from its first attempt on"),
    Field("cost", Kind.AMOUNT, "what an attempt is expected to cost"),
    Field("hold:N", Kind.AMOUNT, "what is held for the attempt, until its end is known"),
    Field("doubt:N", Kind.AMOUNT, "possible cost of an attempt that nobody waits for"),
    Field("answered", Kind.FLAG, "the quota has learned from the attempt's answer"),
    Field("uncounted", Kind.COUNT, "attempts that do not count against the maximum"),
    Field("faulted", Kind.FLAG, "an attempt met a server fault, behind which a task may have been made"),
    Field("last_error", Kind.JSON, "the last refusal, or why there was no answer"),
    Field(
        "doubtful",
        Kind.COUNT,
        "the attempt of which it is not known whether it was accepted",
    ),
    Field("held", Kind.TIME, "since when a person is to decide about the doubt"),
    Field("decided", Kind.COUNT, "the attempt whose doubt was decided by sending again"),
    Field("resubmitted", Kind.COUNT, "how often it was sent again although it was in doubt"),
    Field(
        "tasks",
        Kind.JSON,
        "the provider's tasks, the one to be polled first in front",
    ),
    Field(
        "task_id",
        Kind.TEXT,
        "the task that is polled, or whose images are the result",
    ),
    Field("reader", Kind.TEXT, "the account whose key reads that task"),
    Field("accepted", Kind.TIME, "when a task was last named"),
    Field("signalled", Kind.TIME, "when there was last something new to see"),
    Field("pace", Kind.SPAN, "what the poll policy allowed until the next poll"),
    Field(
        "polling",
        Kind.TIME,
        "when the poll that is under way was claimed or begun",
    ),
    Field("seen", Kind.TIME, "when a poll last had an answer"),
    Field("polls", Kind.COUNT, "how many polls had an answer", always=True),
    Field("verdict", Kind.JSON, "the outcome, should nothing be left to wait for"),
    Field("outcome", Kind.JSON, "the end: urls and credits, or an error"),
    Field("finished", Kind.TIME, "time of its end; identifies that end"),
    Field("stored", Kind.FLAG, "its result lies in the result backend"),
    Field("cancelled_as", Kind.TEXT, "the state that it was cancelled in"),
)

TEXTS: Final = tuple(field.name for field in FIELDS if not field.kind.is_number and not field.of_attempt)
NUMBERS: Final = tuple(field.name for field in FIELDS if field.kind.is_number and not field.of_attempt)
"""The fields that a script reads as numbers, and refuses if they are none."""
