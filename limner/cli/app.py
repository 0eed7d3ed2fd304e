"""The command line put together."""

import io
import os
import sys
import traceback
from itertools import takewhile
from typing import Annotated, Any, Final

import typer

import limner
from limner.cli.accounts import pause, quota, resume, spend
from limner.cli.check import check
from limner.cli.copies import copies
from limner.cli.doctor import doctor
from limner.cli.doubts import broken, callbacks, doubts, resolve
from limner.cli.exits import ExitCode
from limner.cli.jobs import cancel, explain, status, wait
from limner.cli.letters import letters
from limner.cli.output import Output, PipeClosed
from limner.cli.saving import save
from limner.cli.session import AsJson, Globals, command
from limner.cli.submit import submit
from limner.cli.tail import tail

__all__ = ["app", "main"]

_UsageError: Final[Any] = typer.BadParameter.__bases__[0]
"""The class of Typer's errors for bad input, which has changed from version to version."""

_EXIT_CODES: Final = "\b\nExit codes:\n" + "\n".join(f"  {code:3}  {code.meaning}" for code in ExitCode)

# Plain help: a frame of a fixed width is in the way in a pipe, and unreadable in a dumb terminal.
app = typer.Typer(
    name="limner",
    help="Submit prompts for images, and see what became of them.",
    epilog=_EXIT_CODES,
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(ctx: typer.Context, asked: bool) -> None:
    if asked:
        number = limner.__version__
        given: Globals = ctx.obj
        Output(as_json=given.as_json).say({"version": number}, f"limner {number}")
        raise typer.Exit


@app.callback()
def shared(
    ctx: typer.Context,
    redis_url: Annotated[
        str | None,
        typer.Option(envvar="LIMNER_REDIS_URL", help="The fleet's Redis.", show_default=False),
    ] = None,
    as_json: AsJson = False,
    _: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version, and exit."
        ),
    ] = False,
) -> None:
    """Submit prompts for images, and see what became of them."""
    ctx.obj = Globals(redis_url, as_json)


for body in (
    *(submit, status, wait, save, cancel, explain, tail),
    *(quota, pause, resume, spend),
    *(doubts, resolve, broken, check, letters, callbacks, copies),
):
    app.command(epilog=_EXIT_CODES)(command(body))
app.command(epilog=_EXIT_CODES)(doctor)


def main(arguments: list[str], program: str = "python -m limner") -> int:
    """Run one command; return its exit code. ``program`` is its name in the help."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A message in an alphabet that the terminal lacks is no reason to fail.
            stream.reconfigure(errors="backslashreplace")
    # An error in the arguments is printed as JSON, too, so --json must be found before they are parsed.
    out = Output(as_json="--json" in takewhile(lambda argument: argument != "--", arguments))
    try:
        return _run(arguments, program, out)
    except PipeClosed:
        # The interpreter flushes standard output once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.PIPE_CLOSED


def _run(arguments: list[str], program: str, out: Output) -> int:
    try:
        "".join(arguments).encode()
        code: int = app(arguments, program, standalone_mode=False, obj=Globals(None, out.as_json))
    except UnicodeEncodeError:
        out.complaint("UsageError", "the arguments are not UTF-8", ExitCode.BAD_INPUT)
        return ExitCode.BAD_INPUT
    except _UsageError as error:
        if out.as_json:
            out.complaint("UsageError", error.format_message(), ExitCode.BAD_INPUT)
        else:
            error.show()
        return ExitCode.BAD_INPUT
    except PipeClosed:
        raise
    except Exception as error:
        # Without this, Python would end with 1, which says that a job has failed.
        if not out.as_json:
            traceback.print_exc()
        return out.error(error)
    return code
