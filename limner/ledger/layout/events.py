"""The events of a job's log and of the event stream."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class EventType:
    """Something that happened. What is only ``noted`` is on the job's log, and not told on the stream."""

    name: str
    says: str
    noted: bool = False
    of_account: bool = False
    """It is about an account, and no job in particular."""


EVENTS: Final = (
    EventType("submitted", "the job is on the ledger"),
    EventType("sending", "an attempt is on record, and its request goes out"),
    EventType("refused", "the provider refused the attempt; it is sent again later"),
    EventType("in_doubt", "it is not known whether the provider accepted the attempt"),
    EventType("held", "a person is to decide about it"),
    EventType("resubmitted", "it is sent again, at the risk of paying twice"),
    EventType("generating", "the provider's answer has named the task"),
    EventType("adopted", "a callback, a person or a late answer has named a task"),
    EventType("late_answer", "a task was named for a job that had ended; it is polled late"),
    EventType("polled", "the task is not ready", noted=True),
    EventType(
        "attempt_failed",
        "the attempt was refused for good; an earlier one has a task to wait for",
        noted=True,
    ),
    EventType("task_failed", "a task made no images, and the job goes on, or had ended", noted=True),
    EventType("task_lost", "a task is not polled any more", noted=True),
    EventType("over_budget", "a cap has no money left for the job, which waits, or fails"),
    EventType("succeeded", "the images are there"),
    EventType("failed", "the job ended in an error"),
    EventType("cancelled", "the job was cancelled"),
    EventType("expired", "the job was not sent in time"),
    EventType("succeeded_late", "a job that had failed has its images"),
    EventType("late_result", "a job that had ended was paid for; its images are on its status"),
    EventType("double", "a job was paid for twice; the detail has the credits"),
    EventType("paused", "nothing of the account is sent", of_account=True),
    EventType("resuming", "the account is open again as soon as a probe is taken", of_account=True),
    EventType("resumed", "the account is open again", of_account=True),
    EventType("credits", "the provider has told the account's balance", of_account=True),
)
