"""``letters``: messages that workers have set aside."""

from typing import Annotated

import typer

from limner.cli.as_json import fields_of, moment
from limner.cli.exits import ExitCode
from limner.cli.phrases import counted
from limner.cli.session import Session
from limner.errors import InvalidRequest


def letters(
    session: Session,
    drop: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="Drop this letter.", show_default=False)
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Drop all letters.")] = False,
) -> ExitCode:
    """List the messages that were set aside, or drop them.

    Two lines for each, the oldest first: its id, when it came, its queue, its size and its fault; then its
    beginning. No job could be made of them.
    """
    if drop and all_:
        raise InvalidRequest("exactly one of --drop ID and --all can be given")
    with session.client() as limner:
        if not drop and not all_:
            for letter in limner.letters():
                session.out.say(
                    fields_of(letter),
                    f"{letter.id}  {moment(letter.at)}  queue {letter.queue or '-'}  "
                    f"{counted(letter.size, 'byte')}  {letter.why}",
                    f"    {letter.head}",
                )
            return ExitCode.OK
        dropped = limner.drop_letters(*(drop or []))
    if drop and dropped < len(set(drop)):
        raise InvalidRequest(f"only {dropped} of these letters were there, and are dropped")
    session.out.say({"dropped": dropped}, f"{counted(dropped, 'letter')} dropped")
    return ExitCode.OK
