"""Copies of images in plain words: from data to text, without any effect."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from limner.cli.phrases import Detail, answer, clock, counted, seconds, sized, then
from limner.models import ImageFile
from limner.status import JobStatus, PendingCopy

# What happened


def _copying(detail: Detail) -> str:
    task = f"provider task {detail.get('task_id')} for attempt {detail.get('attempt')}"
    return f"{task} is ready: {counted(int(detail.get('urls') or 0), 'image')} to be copied"


def _not_copied(detail: Detail) -> str:
    return f"not copied: {answer(detail.get('error'))}{then('tried again', detail)}"


def _copied(detail: Detail) -> str:
    return (
        f"copied: {counted(int(detail.get('images') or 0), 'image')}, {sized(int(detail.get('size') or 0))}"
    )


COPY_EVENTS: Final[Mapping[str, Callable[[Detail], str]]] = {
    "copying": _copying,
    "not_copied": _not_copied,
    "copy_overdue": lambda detail: f"its images are still not copied: {answer(detail.get('error'))}",
    "copied": _copied,
    "copy_failed": lambda detail: f"its images could not be copied: {answer(detail.get('error'))}",
}


# How copies stand


def copies_told(status: JobStatus, now: datetime) -> list[str]:
    """The copies of a job's images, in parts of a line; none if there is nothing to copy."""
    if not status.copies:
        return []
    stored = [copy.file for copy in status.copies if copy.stored and copy.file]
    size = f" ({sized(sum(file.size for file in stored))})" if stored else ""
    told = [f"{len(stored)} of {counted(len(status.copies), 'image')} stored{size}"]
    if len(stored) == len(status.copies):
        return told
    if status.next_copy_at is None:
        return [*told, "the rest is not tried any more: python -m limner copies --retry"]
    if status.copy_tries:
        tries = "1 try has failed" if status.copy_tries == 1 else f"{status.copy_tries} tries have failed"
        left = max(0.0, (status.next_copy_at - now).total_seconds())
        told.append(f"{tries}, the next one in {seconds(left)}")
    return told


def pending(copy: PendingCopy, now: datetime) -> str:
    """A job whose images are not copied, in one line."""
    at = clock(copy.at)
    ahead = max(0.0, (copy.at - now).total_seconds())
    then = f"given up {at}" if copy.failed else f"next try in {seconds(ahead)}"
    tries = "1 failed try" if copy.tries == 1 else f"{copy.tries} failed tries"
    why = f"  {copy.last_error}" if copy.last_error else ""
    return f"{copy.job_id}  since {clock(copy.since)}  {tries}  {then}{why}"


def file_line(file: ImageFile) -> str:
    """A copy, by its address, name, size and the beginning of its hash."""
    return f"file: {file.url}  {file.name}, {sized(file.size)}, sha256 {file.sha256[:12]}"
