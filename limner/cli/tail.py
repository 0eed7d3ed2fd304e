"""``tail``: follow what happens to all jobs."""

import time
from collections.abc import Iterator
from itertools import islice
from typing import Annotated

import typer

from limner.cli.exits import ExitCode
from limner.cli.facts import event_facts, moment
from limner.cli.session import Session
from limner.cli.words import happened
from limner.connection import connect
from limner.errors import StoreUnavailable
from limner.ledger import Ledger
from limner.records import Event
from limner.waiting import Patience


def tail(
    session: Session,
    from_start: Annotated[
        bool, typer.Option("--from-start", help="Begin with the oldest event kept.")
    ] = False,
    count: Annotated[int | None, typer.Option(min=1, help="Stop after so many events.")] = None,
    job: Annotated[list[str] | None, typer.Option(help="Only this job's events; may be repeated.")] = None,
) -> ExitCode:
    """Follow the event stream until Ctrl-C."""
    ledger = Ledger(connect(session.redis_url))
    wanted = (
        event
        for event in _events(ledger, "0" if from_start else _now(ledger))
        if not job or event.job_id in job
    )
    for event in islice(wanted, count):
        # An account's events belong to no job, and their words name it.
        whose = f"{event.job_id}  " if event.job_id else ""
        line = f"{moment(event.at)}  {whose}{happened(event.event, event.detail)}"
        session.out.say(event_facts(event), line, mood=event.event)
    return ExitCode.OK


def _now(ledger: Ledger) -> str:
    # Not "$": asked for again and again until the first event comes, it would miss what happens in between.
    return str(ledger.server_facts()["server_time_usec"] // 1000)


def _events(ledger: Ledger, after: str) -> Iterator[Event]:
    patience = Patience.until(time.monotonic(), None)
    while True:
        try:
            events = ledger.journal.events(after)
        except StoreUnavailable:
            if patience.lost(time.monotonic()):
                raise
            time.sleep(Patience.PAUSE)
            continue
        patience.seen(time.monotonic())
        for event in events:
            after = event.id
            yield event
