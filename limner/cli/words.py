"""A job's life in plain words: from data to text, without any effect."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from limner.cli.account_words import ACCOUNT_EVENTS, named_cap
from limner.cli.copy_words import COPY_EVENTS, copies_told, file_line
from limner.cli.phrases import Detail, answer, counted, lasting, seconds, then
from limner.errors import JobFailed
from limner.job import Cancellation
from limner.models import Images
from limner.status import JobState, JobStatus

CANCELLATIONS: Final[Mapping[Cancellation, str]] = {
    Cancellation.BEFORE_SENDING: "cancelled before sending: it cost nothing",
    Cancellation.AFTER_SENDING: "cancelled after sending: the provider may charge for it, or has done so",
    Cancellation.ALREADY_ENDED: "had already ended: its result stays",
}


# What happened


def happened(event: str, detail: Detail) -> str:
    """An event of a job's log. An event that this version does not know is described by its details."""
    tell = _EVENTS.get(event)
    if tell:
        return tell(detail)
    told = ", ".join(f"{name} {fact}" for name, fact in detail.items())
    return f"{event}: {told}" if told else event


def _conflict(detail: Detail) -> str:
    return (
        f"its id or key came again with another request ({str(detail.get('other'))[:12]}), which was refused"
    )


def _sending(detail: Detail) -> str:
    account = f", account {detail['account']}" if "account" in detail else ""
    return f"attempt {detail.get('attempt')}: sending the request{account}"


def _refused(detail: Detail) -> str:
    pause = f"; its account is paused {lasting(detail['pause'] / 1000)}" if detail.get("pause") else ""
    return f"refused: {answer(detail.get('error'))}{then('sent again', detail)}{pause}"


def _over_budget(detail: Detail) -> str:
    caps = {"day": "LIMNER_CREDITS_PER_DAY", "lane": "LIMNER_CREDITS_PER_LANE_DAY"}
    return f"no money for it: it would break {caps.get(str(detail.get('cap')), 'a cap')}"


def _in_doubt(detail: Detail) -> str:
    return f"in doubt whether it was accepted: {answer(detail.get('error'))}{then('decided', detail)}"


def _generating(detail: Detail) -> str:
    return f"accepted as provider task {detail.get('task_id')}{then('first poll', detail)}"


def _late_answer(detail: Detail) -> str:
    return f"{_told_by(detail)} {_task(detail)} when the job had ended: it is paid for, and polled late"


def _adopted(detail: Detail) -> str:
    return f"{_told_by(detail)} {_task(detail)}: adopted"


def _accepted_unnamed(detail: Detail) -> str:
    attempt = detail.get("attempt")
    return f"a callback for attempt {attempt}: accepted, id unknown: look in the log of the provider"


def _wrong_ids(detail: Detail) -> str:
    return f"callbacks have named {counted(detail.get('count', 0), 'wrong task id')}"


def _told_by(detail: Detail) -> str:
    teller = {"callback": "a callback", "person": "a person", "answer": "the provider"}
    return f"{teller.get(str(detail.get('by')), 'somebody')} named"


def _task(detail: Detail) -> str:
    return f"provider task {detail.get('task_id')} for attempt {detail.get('attempt')}"


def _paid(detail: Detail) -> str:
    return f"{detail['credits']} credits" if "credits" in detail else "credits not told"


def _resubmitted(detail: Detail) -> str:
    by = {"policy": "LIMNER_IN_DOUBT", "person": "a person"}.get(str(detail.get("by")), "somebody")
    return f"sent again by decision of {by}, although attempt {detail.get('attempt')} may be paid for"


def _double(detail: Detail) -> str:
    return f"paid for twice: {_task(detail)} as well, {_paid(detail)}"


def _late_result(detail: Detail) -> str:
    return f"paid for after its end: {_task(detail)}, {_paid(detail)}"


def _task_failed(detail: Detail) -> str:
    return f"{_task(detail)} has failed: {_error(detail)}"


def _task_lost(detail: Detail) -> str:
    return f"{_task(detail)} is given up: {answer(detail.get('error'))}"


def _images_missing(detail: Detail) -> str:
    return f"the task has succeeded, and its images cannot be read yet; the answer: {detail.get('raw')}"


def _bought_again(detail: Detail) -> str:
    return f"{_task(detail)} has failed: {_error(detail)}{then('sent again', detail)}"


def _error(detail: Detail) -> str:
    error = JobFailed.from_json(detail.get("error", {}))
    return f"{type(error).__name__}: {error.message}"


def _polled(detail: Detail) -> str:
    return f"polled: {detail.get('answer')}{then('next poll', detail)}"


def _succeeded(detail: Detail) -> str:
    cost = f", {detail['credits']} credits" if "credits" in detail else ""
    return f"succeeded: {counted(detail.get('urls', 0), 'image')}{cost}"


def _succeeded_late(detail: Detail) -> str:
    return f"{_succeeded(detail)}, after the job had failed"


def _failed(detail: Detail) -> str:
    return f"failed: {_error(detail)}"


_EVENTS: Final[Mapping[str, Callable[[Detail], str]]] = {
    **COPY_EVENTS,
    "submitted": lambda detail: f"submitted{then('starts', detail)}",
    "conflict": _conflict,
    "sending": _sending,
    "refused": _refused,
    "in_doubt": _in_doubt,
    "generating": _generating,
    "late_answer": _late_answer,
    "adopted": _adopted,
    "accepted_unnamed": _accepted_unnamed,
    "wrong_ids": _wrong_ids,
    "restored": lambda detail: f"attempt {detail.get('attempt')}, which Redis had lost, is on record again",
    "set_apart": lambda detail: f"its record cannot be read: {detail.get('fault')}",
    "held": lambda _: "held: python -m limner resolve decides",
    "resubmitted": _resubmitted,
    "polled": _polled,
    "images_missing": _images_missing,
    "bought_again": _bought_again,
    "reread": lambda detail: f"a person has {counted(detail.get('tasks', 0), 'task')} read again",
    "task_failed": _task_failed,
    "task_lost": _task_lost,
    "attempt_failed": lambda detail: f"this attempt was refused: {_error(detail)}",
    "succeeded": _succeeded,
    "succeeded_late": _succeeded_late,
    "double": _double,
    "late_result": _late_result,
    "failed": _failed,
    "cancelled": lambda _: "cancelled",
    "expired": lambda _: "expired: it was not sent in time, and costs nothing",
    "over_budget": _over_budget,
    **ACCOUNT_EVENTS,
}


# How it stands, and how it ended


def standing(status: JobStatus, now: datetime) -> str:
    """The state of a job, in one line."""
    parts: list[str] = [status.state]
    if status.position is not None:
        parts.append(f"number {status.position} in the queue")
    if status.over_budget:
        parts.append(f"waits for money: the cap of {named_cap(status.over_budget)} is reached")
    if status.paused:
        parts.append(f"its account is paused ({status.paused.replace('_', ' ')})")
    parts += _forecast(status, now)
    if status.next_step_at is not None:
        parts.append(f"next step in {seconds(max(0.0, (status.next_step_at - now).total_seconds()))}")
    if status.attempts:
        parts.append(counted(status.attempts, "attempt"))
    if status.polls:
        parts.append(counted(status.polls, "poll"))
    if status.task_id:
        parts.append(f"provider task {status.task_id}")
    if status.finished_at:
        parts.append(f"after {seconds((status.finished_at - status.created_at).total_seconds())}")
    parts += [*copies_told(status, now), *_doubtful(status)]
    if status.last_error and not status.state.ended:
        parts.append(f"last answer: {status.last_error}")
    return ", ".join(parts)


def _forecast(status: JobStatus, now: datetime) -> list[str]:
    def left(until: datetime) -> str:
        return f"{max(0.0, (until - now).total_seconds()):.0f} s"

    start = [f"{left(status.starts_at)} to start"] if status.starts_at else []
    end = [f"{left(status.ends_at)} to the end"] if status.ends_at else []
    about = ["about " + ", ".join([*start, *end])] if start or end else []
    waits = status.expires_at and status.state is JobState.QUEUED
    return [*about, f"expires in {left(status.expires_at)}"] if waits and status.expires_at else about


def _doubtful(status: JobStatus) -> list[str]:
    facts = {
        "held for a person's decision": status.held,
        f"sent again {counted(status.resubmitted, 'time')} in doubt": status.resubmitted,
        f"{len(status.tasks)} provider tasks": len(status.tasks) > 1,
        f"{counted(status.wrong_ids, 'wrong task id')} from callbacks": status.wrong_ids,
    }
    return [told for told, true in facts.items() if true]


def ending(outcome: Images | JobFailed) -> list[str]:
    """The end of a job, in lines: its outcome, and what to do next."""
    if isinstance(outcome, Images):
        cost = "not told" if outcome.credits is None else str(outcome.credits)
        facts = (
            [file_line(file) for file in outcome.files]
            if outcome.copied
            else [f"image: {url}" for url in outcome.urls]
        )
        return [*facts, f"credits: {cost}", f"provider task: {outcome.task_id}"]
    advice = [f"advice: {outcome.advice}"] if outcome.advice else []
    return [
        f"{type(outcome).__name__}: {outcome.message}",
        *advice,
        f"credits: {_CHARGED[outcome.charged]}",
        f"provider task: {outcome.task_id or 'none is known'}",
    ]


def paid_tasks(status: JobStatus) -> list[str]:
    """The provider's tasks that the line about the end leaves out: a line each, and one for each image."""
    others = [task for task in status.tasks if task.urls or len(status.tasks) > 1]
    stored = {(copy.task_id, copy.url): copy.file for copy in status.copies if copy.stored}
    lines = []
    for task in others:
        cost = "" if task.credits is None else f", {task.credits} credits"
        lines.append(f"provider task {task.task_id}, attempt {task.attempt}: {task.state}{cost}")
        for url in task.urls:
            file = stored.get((task.task_id, url))
            lines.append(file_line(file) if file else f"image: {url}")
    return lines


_CHARGED: Final[Mapping[str, str]] = {
    "no": "none were charged",
    "maybe": "may have been charged",
    "yes": "were charged",
}
