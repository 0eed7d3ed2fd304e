"""The events of a job's log and of the event stream."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. What is only ``noted`` is on the job's log, and not told on the stream."""

    name: str
    says: str
    noted: bool = False
    of_account: bool = False
    """It is about an account, and no job in particular."""


EVENTS: Final = (
    Event("submitted", "the job is on the ledger"),
    Event("sending", "an attempt is on record, and its request goes out"),
    Event("refused", "the provider refused the attempt; it is sent again later"),
    Event("in_doubt", "it is not known whether the provider accepted the attempt"),
    Event("held", "a person is to decide about it"),
    Event("resubmitted", "it is sent again, at the risk of paying twice"),
    Event("generating", "the provider's answer has named the task"),
    Event("adopted", "a callback, a person or a late answer has named a task"),
    Event("late_answer", "a task was named for a job that had ended; it is polled late"),
    Event("polled", "the task is not ready", noted=True),
    Event(
        "attempt_failed",
        "the attempt was refused for good; an earlier one has a task to wait for",
        noted=True,
    ),
    Event("task_failed", "a task made no images, and the job goes on, or had ended", noted=True),
    Event("task_lost", "a task is not polled any more", noted=True),
    Event("over_budget", "a cap has no money left for the job, which waits, or fails"),
    Event("succeeded", "the images are there"),
    Event("failed", "the job ended in an error"),
    Event("cancelled", "the job was cancelled"),
    Event("expired", "the job was not sent in time"),
    Event("succeeded_late", "a job that had failed has its images"),
    Event("late_result", "a job that had ended was paid for; its images are on its status"),
    Event("double", "a job was paid for twice; the detail has the credits"),
    Event("paused", "nothing of the account is sent", of_account=True),
    Event("resuming", "the account is open again as soon as a probe is taken", of_account=True),
    Event("resumed", "the account is open again", of_account=True),
    Event("credits", "the provider has told the account's balance", of_account=True),
)
