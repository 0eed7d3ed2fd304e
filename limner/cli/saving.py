"""``save``: the images of jobs as files of this machine."""

from pathlib import Path
from typing import Annotated

import typer

from limner.cli.exits import ExitCode
from limner.cli.jobs import JobIds, failed, saved
from limner.cli.session import Session
from limner.errors import JobFailed, WaitTimeout
from limner.job import Job


def save(
    session: Session,
    job_ids: JobIds,
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="The folder; made if there is none.")],
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files of the same names with other contents.")
    ] = False,
) -> ExitCode:
    """Save the images of jobs that have succeeded.

    Prints the files, one a line. They come from the fleet's storage if the images were copied, else from the
    provider's links. Images that lie there already are left as they are.
    """

    def to_folder(job: Job) -> ExitCode:
        try:
            images = job.result(0)
        except JobFailed as failure:
            return failed(session, job.id, failure)
        except WaitTimeout:
            raise WaitTimeout(
                f"job {job.id} has not ended; wait --save waits for it", job_id=job.id
            ) from None
        files, error = saved(session, images, to, overwrite=overwrite)
        session.out.say({"job_id": job.id, "paths": files}, *files)
        return session.out.error(error, job_id=job.id) if error else ExitCode.OK

    return session.each(job_ids, to_folder)
