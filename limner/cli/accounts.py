"""``quota``, ``pause``, ``resume`` and ``spend``: the accounts at the provider, and their money."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from limner.accounts import MAIN
from limner.cli.account_words import account_lines, day_line, standing_lines
from limner.cli.as_json import fields_of
from limner.cli.exits import ExitCode
from limner.cli.session import Session
from limner.operations import WEEK
from limner.spending import KEEP_DAYS

Account = Annotated[str, typer.Argument(metavar="[ACCOUNT]", help="The account's name.")]


def quota(session: Session) -> ExitCode:
    """Show what each account has left, who waits, and why it is paused.

    There is none before the first worker has started.
    """
    with session.client() as limner:
        accounts = limner.accounts()
        for account in accounts:
            mood = "paused" if account.pause else ""
            session.out.say(fields_of(account), *account_lines(account, datetime.now(UTC)), mood=mood)
    if not accounts and not session.out.as_json:
        session.out.line("no worker has started on this Redis yet")
    return ExitCode.OK


def pause(
    session: Session,
    account: Account = MAIN,
    seconds: Annotated[
        float | None, typer.Option(help="For how long; without it, until somebody resumes the account.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Why, for whoever looks.")] = "",
) -> ExitCode:
    """Send nothing of an account.

    What is on the wire goes on, and its images are delivered.
    """
    with session.client() as limner:
        limner.pause(account, seconds, reason)
    length = "until somebody resumes it" if seconds is None else f"for {seconds:g} s"
    session.out.say(
        {"account": account, "seconds": seconds, "reason": reason}, f"account {account} is paused {length}"
    )
    return ExitCode.OK


def resume(session: Session, account: Account = MAIN) -> ExitCode:
    """End the pause of an account.

    After a pause that the provider caused, one request is tried first.
    """
    with session.client() as limner:
        resumed = limner.resume(account)
        # It goes on when the provider has taken one request.
        probing = resumed and any(each.account == account and each.pause for each in limner.accounts())
    told = "is resumed" if resumed else "was not paused"
    if probing:
        told = "tries one request now; the others follow if the provider takes it"
    facts = {"account": account, "resumed": resumed, "probing": probing}
    session.out.say(facts, f"account {account} {told}")
    return ExitCode.OK


def spend(
    session: Session,
    days: Annotated[int, typer.Option(min=1, max=KEEP_DAYS, help="How many, today (UTC) included.")] = WEEK,
) -> ExitCode:
    """Show the credits spent by day, and what is held and doubtful.

    One line a day, the oldest first, by account and by lane; then what attempts may cost whose end is not
    known.
    """
    with session.client() as limner:
        books = limner.spend(days)
    for day in books.days:
        session.out.say(fields_of(day), day_line(day))
    session.out.say(fields_of(books.standing), *standing_lines(books.standing))
    return ExitCode.OK
