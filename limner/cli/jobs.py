"""``status``, ``wait``, ``cancel`` and ``explain``: jobs that have been submitted."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from limner.cli.as_json import entry_as_json, fields_of, moment, outcome_as_json
from limner.cli.exits import ExitCode
from limner.cli.session import Session
from limner.cli.words import CANCELLATIONS, ending, happened, paid_tasks, standing
from limner.errors import ImagesNotSaved, JobFailed, WaitTimeout
from limner.job import Job
from limner.models import Images
from limner.status import JobStatus, LogEntry

JobIds = Annotated[list[str], typer.Argument(metavar="JOB_ID", help="One or more.")]


def status(session: Session, job_ids: JobIds) -> ExitCode:
    """Say how jobs stand.

    The exit code is 0 even if a job has failed; wait tells by its exit code how a job ended.
    """

    def tell(job: Job) -> ExitCode:
        stands = job.status()
        line = f"{job.id}  {standing(stands, datetime.now(UTC))}"
        session.out.say(fields_of(stands), line, mood=stands.state)
        return ExitCode.OK

    return session.each(job_ids, tell)


def wait(
    session: Session,
    job_ids: JobIds,
    timeout: Annotated[
        float | None, typer.Option(min=0, help="For at most so many seconds, all jobs together.")
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--save", metavar="DIR", help="Save the images into this folder, as save does."),
    ] = None,
) -> ExitCode:
    """Wait for the end of jobs, and print the URLs.

    Prints a line for each image, the job's id and the URL, job by job in the order given. With --save, the
    file takes the place of the URL.
    """
    deadline = None if timeout is None else time.monotonic() + timeout

    def until_ended(job: Job) -> ExitCode:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        try:
            return deliver(session, job, left, before_url=f"{job.id} ", folder=folder)
        except WaitTimeout:
            raise WaitTimeout(
                f"job {job.id} has not ended within {timeout:g} s; it goes on", job_id=job.id
            ) from None

    return session.each(job_ids, until_ended)


def deliver(
    session: Session, job: Job, timeout: float | None, *, before_url: str = "", folder: Path | None = None
) -> ExitCode:
    """Wait for a job's end and print it; raises the errors of :meth:`Job.result` except JobFailed.

    With a folder, the images are saved there, and the files are printed in place of the URLs.
    """
    with session.out.waiting(f"waiting for job {job.id}"):
        outcome = _outcome(job, timeout)
    if isinstance(outcome, JobFailed):
        return failed(session, job.id, outcome)
    told = outcome_as_json(job.id, outcome)
    if folder is None:
        session.out.say(told, *(before_url + url for url in outcome.urls))
        return ExitCode.OK
    files, error = saved(session, outcome, folder)
    session.out.say({**told, "paths": files}, *(before_url + file for file in files))
    return session.out.error(error, job_id=job.id) if error else ExitCode.OK


def failed(session: Session, job_id: str, failure: JobFailed) -> ExitCode:
    """Print the end of a job without images."""
    if session.out.as_json:
        session.out.json(outcome_as_json(job_id, failure))
        return ExitCode.JOB_FAILED
    return session.out.error(failure, job_id=job_id)


def saved(
    session: Session, images: Images, folder: Path, *, overwrite: bool = False
) -> tuple[list[str], ImagesNotSaved | None]:
    """Save images, with a bar if somebody watches; returns the files, and the error if not all were saved."""
    try:
        files = images.save(folder, overwrite=overwrite, progress=False if session.out.as_json else None)
    except ImagesNotSaved as error:
        return [str(file) for file in error.saved], error
    return [str(file) for file in files], None


def cancel(session: Session, job_ids: JobIds) -> ExitCode:
    """End jobs now, and say if they were sent."""

    def end(job: Job) -> ExitCode:
        cancellation = job.cancel()
        session.out.say(
            {"job_id": job.id, "cancellation": cancellation}, f"{job.id}  {CANCELLATIONS[cancellation]}"
        )
        return ExitCode.OK

    return session.each(job_ids, end)


def explain(
    session: Session, job_id: Annotated[str, typer.Argument(metavar="JOB_ID", help="The job's id.")]
) -> ExitCode:
    """Tell a job's whole story.

    Every attempt, answer, wait and poll in order, with its time in UTC and in seconds since the submission;
    then how the job ended.
    """

    def tell(job: Job) -> ExitCode:
        stands, log = job.status(), job.log()
        outcome = _outcome(job, 0) if stands.state.ended else None
        if session.out.as_json:
            session.out.json(
                {
                    **fields_of(stands),
                    "log": [entry_as_json(entry, stands.created_at) for entry in log],
                    "outcome": outcome_as_json(job.id, outcome) if outcome else None,
                }
            )
        else:
            _tell_story(session, stands, log, outcome)
        return ExitCode.OK

    return session.each([job_id], tell)


def _tell_story(
    session: Session, stands: JobStatus, log: list[LogEntry], outcome: Images | JobFailed | None
) -> None:
    out = session.out
    if log and log[0].event != "submitted":
        out.line(f"submitted at {moment(stands.created_at)}; what happened first is no longer kept")
    for entry in log:
        since = (entry.at - stands.created_at).total_seconds()
        out.line(f"{moment(entry.at)}  {since:8.3f} s  {happened(entry.event, entry.detail)}", entry.event)
    out.line("")
    out.line(f"{stands.job_id}  {standing(stands, datetime.now(UTC))}", stands.state)
    for line in [*(ending(outcome) if outcome else []), *paid_tasks(stands)]:
        out.line(line)


def _outcome(job: Job, timeout: float | None) -> Images | JobFailed:
    try:
        return job.result(timeout)
    except JobFailed as failure:
        return failure
