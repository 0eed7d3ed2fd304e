"""The fields of a job's record, the hash ``job:ID``. Every value is text; a field that does not apply is
absent."""

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
    Field("request", Kind.JSON, "the parameters of the image", always=True),
    Field(
        "digest",
        Kind.TEXT,
        "hash of the request; shows if the same key comes with another request",
        always=True,
    ),
    Field("metadata", Kind.JSON, "the producer's own data, returned with results and events", always=True),
    Field("priority", Kind.COUNT, "0 to 9, the highest first", always=True),
    Field(
        "turn",
        Kind.COUNT,
        "its order among jobs of the same priority, kept through all attempts",
        always=True,
    ),
    Field("lane", Kind.TEXT, "the label of its lane; lanes share the turns of a priority"),
    Field("namespace", Kind.TEXT, "the namespace of its producer, which is also the first part of its lane"),
    Field("pinned", Kind.TEXT, "the only account that may send it"),
    Field("created", Kind.TIME, "when it was submitted", always=True),
    Field("starts", Kind.TIME, "the time before which it is not sent"),
    Field("expires", Kind.TIME, "the time after which it is not sent"),
    Field("celery", Kind.JSON, "what Celery has to do at its end: callbacks, a chain, a chord"),
    Field("continued", Kind.FLAG, "Celery's part of its first end is done"),
    Field("uncopied", Kind.FLAG, "its images are not copied"),
    Field("folder", Kind.TEXT, "the folder for its images, under the fleet's prefix"),
    Field("key", Kind.TEXT, "the digest of its idempotency key"),
    Field("key_ttl", Kind.SPAN, "how long the key, and the record with it, is kept after the job's end"),
    Field("waits", Kind.FLAG, "it has not been sent yet, and counts for its lane"),
    Field(
        "lease", Kind.COUNT, "the number of the last lease; steps with an older one are stale", always=True
    ),
    Field("account", Kind.TEXT, "the account that was last chosen to send it"),
    Field("slot", Kind.TEXT, "the account at which it holds a slot in flight"),
    Field("ready_since", Kind.TIME, "start of its wait for a permit; the deadline stands still meanwhile"),
    Field("over_budget", Kind.TEXT, "the cap whose money it waits for: day, or lane:NAME"),
    Field("over_budget_reported", Kind.TEXT, "the cap of its last over_budget event"),
    Field("attempt", Kind.COUNT, "the number of the last attempt", always=True),
    Field("sent", Kind.TIME, "when the last attempt was sent"),
    Field("permit", Kind.COUNT, "the lease whose permit the last attempt used"),
    Field("token:N", Kind.TEXT, "the attempt's secret, part of its callback URL"),
    Field("account:N", Kind.TEXT, "the account that the attempt was sent with"),
    Field("deadline", Kind.TIME, "when it fails if none of its tasks has ended"),
    Field("allowance", Kind.SPAN, "the time from the first attempt to the deadline"),
    Field("cost", Kind.AMOUNT, "the expected price of an attempt"),
    Field("hold:N", Kind.AMOUNT, "the amount held for the attempt until its end is known"),
    Field("doubt:N", Kind.AMOUNT, "the possible price of an attempt that nobody waits for any more"),
    Field("answered", Kind.FLAG, "the quota has learned from the attempt's answer"),
    Field("uncounted", Kind.COUNT, "attempts that do not count against the maximum"),
    Field(
        "faulted",
        Kind.COUNT,
        "attempts that met a server fault; the provider may have made their tasks all the same",
    ),
    Field("remade", Kind.COUNT, "tasks that were bought again after one failed from a transient fault"),
    Field("imageless", Kind.TIME, "when a task first succeeded without an image that can be read"),
    Field("raw", Kind.TEXT, "the beginning of the provider's answer, if it was not understood"),
    Field("last_error", Kind.JSON, "the last refusal, or the reason why there was no answer"),
    Field("gap", Kind.TEXT, "the loss of data over which it was put in doubt"),
    Field("doubtful", Kind.COUNT, "the attempt that is in doubt"),
    Field(
        "proven", Kind.COUNT, "the attempt that a callback has proved accepted without a task id to be read"
    ),
    Field("held", Kind.TIME, "since when it waits for a person to decide about the doubt"),
    Field("decided", Kind.COUNT, "the attempt whose doubt was decided by sending the job again"),
    Field("resubmitted", Kind.COUNT, "how often it was sent again while it was in doubt"),
    Field("tasks", Kind.JSON, "the provider's tasks, in the order in which they are polled"),
    Field("candidates", Kind.JSON, "task ids that only callbacks have named, and that wait to be polled"),
    Field("wrong_ids", Kind.COUNT, "how many task ids of callbacks were wrong, or could not be confirmed"),
    Field("task_id", Kind.TEXT, "the task that is polled, or whose images are the result"),
    Field("reader", Kind.TEXT, "the account whose key reads that task"),
    Field("accepted", Kind.TIME, "when a task was last named"),
    Field("signalled", Kind.TIME, "when a callback, or another open task, last called for an immediate poll"),
    Field("pace", Kind.SPAN, "the pause before the next poll, as the poll policy allowed it"),
    Field("polling", Kind.TIME, "when the poll that is under way was claimed or begun"),
    Field("seen", Kind.TIME, "when a poll was last answered"),
    Field("polls", Kind.COUNT, "how many polls were answered", always=True),
    Field("verdict", Kind.JSON, "the outcome if no other task or attempt is left to wait for"),
    Field("outcome", Kind.JSON, "the outcome: URLs and credits, or an error"),
    Field("finished", Kind.TIME, "the time of its end, which also identifies that end"),
    Field("stored", Kind.FLAG, "its result is in the result backend"),
    Field("copies", Kind.JSON, "the images to be copied, and the objects that they have become"),
    Field("copied", Kind.FLAG, "the images of its result are copied"),
    Field("copy_lease", Kind.COUNT, "the number of the last lease of its copies"),
    Field("copy_since", Kind.TIME, "when the last of its images came, or a person had them tried again"),
    Field("copy_tries", Kind.COUNT, "tries to copy them that failed since then"),
    Field("copy_overdue", Kind.FLAG, "it was told that the copies are overdue"),
    Field("cancelled_as", Kind.TEXT, "the state in which it was cancelled"),
)

TEXTS: Final = tuple(field.name for field in FIELDS if not field.kind.is_number and not field.of_attempt)
NUMBERS: Final = tuple(field.name for field in FIELDS if field.kind.is_number and not field.of_attempt)
"""The fields that a script reads as numbers, and refuses if they are none."""
