"""``copies``: the jobs whose images are not stored yet, and the deletion of old files."""

import contextlib
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from limner.cli.as_json import fields_of
from limner.cli.copy_words import pending
from limner.cli.exits import ExitCode
from limner.cli.phrases import counted, sized
from limner.cli.session import Session
from limner.client import Limner
from limner.errors import ConfigurationError, InvalidRequest, InvalidState, UnknownJob
from limner.job import Job
from limner.pruning import prune

LONGEST_PRUNE: Final = 36_500
"""Days."""


def copies(
    session: Session,
    job_ids: Annotated[
        list[str] | None, typer.Argument(metavar="[JOB_ID]...", help="With --retry, only these jobs.")
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="List those that are not tried any more.")] = False,
    retry: Annotated[
        bool,
        typer.Option("--retry", help="Try now what has failed; without JOB_ID, the images of all jobs."),
    ] = False,
    prune_days: Annotated[
        int | None,
        typer.Option(
            "--prune",
            metavar="DAYS",
            min=0,
            max=LONGEST_PRUNE,
            help="Delete what workers wrote to the folder LIMNER_COPY_TO more than so many days ago.",
        ),
    ] = None,
) -> ExitCode:
    """List the jobs whose images are not copied, have them tried again, or delete old copies.

    One line for each job: since when, the tries that have failed, the next one, and the last reason.
    """
    if failed + retry + (prune_days is not None) > 1:
        raise InvalidRequest("at most one of --failed, --retry and --prune can be given")
    if job_ids and not retry:
        raise InvalidRequest("a JOB_ID goes with --retry only")
    if prune_days is not None:
        return _prune(session, prune_days)
    if job_ids:
        return session.each(job_ids, lambda job: _retried(session, job))
    with session.client() as limner:
        if retry:
            return _retry_all(session, limner)
        for copy in limner.copies(failed=failed):
            session.out.say(
                fields_of(copy),
                pending(copy, datetime.now(UTC)),
                mood="copy_failed" if failed else "",
            )
    return ExitCode.OK


def _retry_all(session: Session, limner: Limner) -> ExitCode:
    # One that has not failed yet is tried soon without any help.
    behind = [*limner.copies(failed=True), *(copy for copy in limner.copies() if copy.tries)]
    for copy in behind:
        # Its images may have been stored meanwhile, or its record may have expired.
        with contextlib.suppress(InvalidState, UnknownJob):
            _retried(session, limner.get(copy.job_id))
    return ExitCode.OK


def _retried(session: Session, job: Job) -> ExitCode:
    images = job.retry_copies()
    told = "is" if images == 1 else "are"
    session.out.say(
        {"job_id": job.id, "images": images}, f"{job.id}  {counted(images, 'image')} {told} copied now"
    )
    return ExitCode.OK


def _prune(session: Session, days: int) -> ExitCode:
    try:
        pruned = prune(_folder(), days, datetime.now(UTC).date())
    except OSError as error:
        raise ConfigurationError(
            f"LIMNER_COPY_TO: its lists of files cannot be read ({error.strerror})"
        ) from None
    session.out.say(
        {
            "files": pruned.files,
            "bytes": pruned.size,
            "changed": pruned.changed,
            "failed": pruned.failed,
        },
        f"{counted(pruned.files, 'file')} deleted, {sized(pruned.size)}",
        *([f"{counted(pruned.changed, 'file')} left alone: changed since"] if pruned.changed else []),
    )
    if pruned.failed:
        raise ConfigurationError(
            f"LIMNER_COPY_TO: {counted(pruned.failed, 'file')} could not be read or deleted; "
            "has this user the rights of the workers there?"
        )
    return ExitCode.OK


def _folder() -> Path:
    """The folder that LIMNER_COPY_TO names; raises ConfigurationError, which does not contain the value."""
    url = os.environ.get("LIMNER_COPY_TO", "").strip()
    if not url:
        raise ConfigurationError("LIMNER_COPY_TO: not set; it is where the fleet copies images to")
    scheme, _, path = url.partition("://")
    if scheme != "file":
        raise ConfigurationError(
            "LIMNER_COPY_TO: is no folder (file:///…), and a bucket deletes old objects "
            "by its own lifecycle rules"
        )
    folder = Path(path)
    if not folder.is_absolute() or not path.isprintable() or not folder.is_dir():
        raise ConfigurationError("LIMNER_COPY_TO: must be the absolute path of a folder of this machine")
    return folder
