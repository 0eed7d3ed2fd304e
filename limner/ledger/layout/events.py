"""The events of a job's log and of the event stream."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class EventType:
    """Something that happened. An event that is only ``noted`` is in the job's log, and not in the stream."""

    name: str
    says: str
    noted: bool = False
    of_account: bool = False
    """It is about an account, and no job in particular."""


EVENTS: Final = (
    EventType("submitted", "the job is on the ledger"),
    EventType(
        "conflict", "the job's id or key came again with another request, which was refused", noted=True
    ),
    EventType("sending", "an attempt is on record, and its request goes out"),
    EventType("refused", "the provider refused the attempt; the job is sent again later"),
    EventType("in_doubt", "it is not known whether the provider accepted the attempt"),
    EventType("held", "the job in doubt waits for a person to decide"),
    EventType("resubmitted", "the job in doubt is sent again, at the risk of paying twice"),
    EventType("generating", "the provider's answer has named the task"),
    EventType("adopted", "a callback, a person or a late answer has named a task of the job"),
    EventType(
        "accepted_unnamed",
        "a callback has proved that an attempt was accepted, and its task's id could not be read",
    ),
    EventType("wrong_ids", "callbacks have named ten times as many wrong task ids as when it was last told"),
    EventType("late_answer", "a task was named for a job that had ended; the task is polled late"),
    EventType("polled", "the task is not ready", noted=True),
    EventType(
        "attempt_failed",
        "the attempt was finally refused; an earlier attempt has a task to wait for",
        noted=True,
    ),
    EventType(
        "images_missing",
        "the task succeeded without an image that can be read; it is polled for some minutes more",
        noted=True,
    ),
    EventType("bought_again", "a task failed from a transient fault; the job is sent once more"),
    EventType("reread", "a person has the ended tasks of the job polled again"),
    EventType("task_failed", "a task made no images; the job continues, or had ended", noted=True),
    EventType("task_lost", "a task is no longer polled", noted=True),
    EventType("over_budget", "a cap has no money left for the job, which waits or fails"),
    EventType("copying", "the images are there, and are copied before the job ends"),
    EventType("not_copied", "an image could not be copied, and is tried again", noted=True),
    EventType("copy_overdue", "an image is not copied after hours; its link will expire"),
    EventType("copied", "all images of the job are in the storage"),
    EventType("copy_failed", "images could not be copied, and are not tried again"),
    EventType("succeeded", "the images are there"),
    EventType("failed", "the job ended in an error"),
    EventType("cancelled", "the job was cancelled"),
    EventType("expired", "the job was not sent in time"),
    EventType("succeeded_late", "a job that had failed has its images"),
    EventType("late_result", "a job that had ended was paid for; its images are in its status"),
    EventType("double", "a job was paid for twice; the detail contains the credits"),
    EventType("set_apart", "the job's record cannot be read; it is tried again later"),
    EventType("paused", "the account is closed; nothing of it is sent", of_account=True),
    EventType(
        "resuming", "a person resumed the account; it is open again when a probe is accepted", of_account=True
    ),
    EventType("resumed", "the account is open again", of_account=True),
    EventType("credits", "the provider has reported the account's balance", of_account=True),
    EventType("restored", "an attempt that Redis had lost is on record again"),
    EventType("rolled_back", "the ledger has gone back to an older state", of_account=True),
    EventType("emptied", "the ledger was emptied, or is another one", of_account=True),
)
