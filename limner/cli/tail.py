"""``tail``: follow what happens to all jobs."""

from itertools import islice
from typing import Annotated

import typer

from limner.cli.as_json import event_as_json, moment
from limner.cli.exits import ExitCode
from limner.cli.session import Session
from limner.cli.words import happened


def tail(
    session: Session,
    from_start: Annotated[
        bool, typer.Option("--from-start", help="Begin with the oldest event kept.")
    ] = False,
    count: Annotated[int | None, typer.Option(min=1, help="Stop after so many events.")] = None,
    namespace: Annotated[str, typer.Option(help="Only the events of its jobs, and of accounts.")] = "",
    job: Annotated[list[str] | None, typer.Option(help="Only this job's events; may be repeated.")] = None,
) -> ExitCode:
    """Follow the event stream until Ctrl-C."""
    with session.client(namespace=namespace) as limner:
        wanted = (event for event in limner.events(from_start=from_start) if not job or event.job_id in job)
        for event in islice(wanted, count):
            # An account's events belong to no job, and their words name it.
            whose = f"{event.job_id}  " if event.job_id else ""
            line = f"{moment(event.at)}  {whose}{happened(event.event, event.detail)}"
            session.out.say(event_as_json(event), line, mood=event.event)
    return ExitCode.OK
