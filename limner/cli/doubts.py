"""``doubts``, ``resolve``, ``broken`` and ``callbacks``: jobs that a person may have to decide about."""

from typing import Annotated

import typer

from limner.cli.as_json import fields_of, moment
from limner.cli.exits import ExitCode
from limner.cli.session import Session
from limner.errors import InvalidRequest
from limner.job import Job


def doubts(
    session: Session,
    all_: Annotated[bool, typer.Option("--all", help="Also jobs that have ended so.")] = False,
) -> ExitCode:
    """List attempts that may have been accepted.

    One line for each, the oldest first: the job, its state, when the attempt was sent, why it is in doubt,
    and the prompt, by which the provider's own log shows whether there is a task.
    """
    with session.client() as limner:
        for doubt in limner.doubts():
            if doubt.state.ended and not all_:
                continue
            sent = moment(doubt.sent_at) if doubt.sent_at else "-"
            state = "held" if doubt.held and not doubt.state.ended else doubt.state
            session.out.say(
                fields_of(doubt),
                f"{doubt.job_id}  {state}  sent {sent}  attempt {doubt.attempt}  {doubt.reason}  "
                f"prompt: {doubt.request.get('prompt')}",
                mood=doubt.state,
            )
    return ExitCode.OK


def resolve(
    session: Session,
    job_id: Annotated[str, typer.Argument(metavar="JOB_ID", help="The job's id.")],
    adopt: Annotated[
        str | None,
        typer.Option(metavar="TASK_ID", help="The provider's task: its images are the job's, even late."),
    ] = None,
    resubmit: Annotated[
        bool, typer.Option("--resubmit", help="Send it again, at the risk of paying twice.")
    ] = False,
    fail: Annotated[bool, typer.Option("--fail", help="End the job in InDoubt.")] = False,
    reread: Annotated[
        bool, typer.Option("--reread", help="Read its ended tasks again: their images may be there by now.")
    ] = False,
    attempt: Annotated[
        int | None, typer.Option(min=1, help="Only if this attempt is in doubt still; the newest by default.")
    ] = None,
) -> ExitCode:
    """Decide about a job that is in doubt, or that ended without its images."""
    if sum([adopt is not None, resubmit, fail, reread]) != 1:
        raise InvalidRequest("exactly one of --adopt TASK_ID, --resubmit, --fail and --reread is needed")
    if adopt is not None and attempt is not None:
        raise InvalidRequest("--attempt: a task is adopted for whichever attempt the provider says")

    def act(job: Job) -> ExitCode:
        if adopt is not None:
            job.adopt(adopt)
            decision, told = "adopted", f"follows provider task {adopt}"
        elif reread:
            job.reread()
            decision, told = "reread", "has its tasks read again"
        elif resubmit:
            job.resubmit(attempt)
            decision, told = "resubmitted", "is sent again"
        else:
            job.give_up(attempt)
            decision, told = "failed", "has failed with InDoubt"
        session.out.say({"job_id": job.id, "decision": decision}, f"{job.id}  {told}")
        return ExitCode.OK

    return session.each([job_id], act)


def broken(
    session: Session,
    job_id: Annotated[
        str | None, typer.Argument(metavar="JOB_ID", help="Decide about this job.", show_default=False)
    ] = None,
    retry: Annotated[bool, typer.Option("--retry", help="Try it again now, after a repair.")] = False,
    drop: Annotated[bool, typer.Option("--drop", help="Give it up. Its record is kept for 30 days.")] = False,
) -> ExitCode:
    """List the jobs whose records cannot be read, or decide about one.

    One line for each: the job, since when, and the fault. They are tried again once an hour.
    """
    if retry + drop != (job_id is not None):
        raise InvalidRequest("a JOB_ID needs exactly one of --retry and --drop, which need a JOB_ID")
    with session.client() as limner:
        if job_id is None:
            for record in limner.broken():
                session.out.say(
                    fields_of(record), f"{record.job_id}  since {moment(record.since)}  {record.fault}"
                )
            return ExitCode.OK
        if not (limner.drop_broken(job_id) if drop else limner.retry_broken(job_id)):
            raise InvalidRequest(f"{job_id}: its record is not among the broken ones")
    decision, told = ("dropped", "is given up") if drop else ("retried", "is tried again")
    session.out.say({"job_id": job_id, "decision": decision}, f"{job_id}  {told}")
    return ExitCode.OK


def callbacks(session: Session) -> ExitCode:
    """Count the callbacks so far, and list the unmatched_callbacks.

    A line for each outcome with its number, then one for each callback that named a job which is not known
    here: its task may be paid for.
    """
    with session.client() as limner:
        counts, unmatched_callbacks = limner.callback_counts(), limner.unmatched_callbacks()
    for outcome, count in sorted(counts.items()):
        session.out.say({"outcome": outcome, "count": count}, f"{count:8}  {outcome}")
    for unmatched in unmatched_callbacks:
        session.out.say(
            fields_of(unmatched),
            f"{moment(unmatched.at)}  unknown job {unmatched.job_id}  provider task {unmatched.task_id}",
        )
    return ExitCode.OK
