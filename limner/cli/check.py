"""``check``: what contradicts itself in the ledger."""

from typing import Annotated

import typer

from limner.cli.as_json import fields_of
from limner.cli.exits import ExitCode
from limner.cli.session import Session


def check(
    session: Session,
    repair: Annotated[
        bool, typer.Option("--repair", help="Repair what is safe to be repaired; change nothing else.")
    ] = False,
) -> ExitCode:
    """Find what contradicts itself in the ledger.

    It walks through all of it in small steps, while jobs go on. One line for each finding: the job or the
    key, what is wrong, and what to do. It changes nothing without --repair.
    """
    with session.client() as limner:
        found = limner.check(repair=repair)
    for each in found:
        done = "repaired" if each.repaired else each.advice
        session.out.say(
            fields_of(each), f"{each.subject}  {each.what}; {done}", mood="ok" if each.repaired else "fail"
        )
    return ExitCode.OK if all(each.repaired for each in found) else ExitCode.JOB_FAILED
