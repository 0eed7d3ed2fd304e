"""The output of a command: data on standard output, everything else on standard error."""

import contextlib
import json
from collections.abc import Mapping
from typing import Final

from rich.console import Console

from limner.cli.as_json import JsonObject, error_as_json
from limner.cli.exits import ExitCode, exit_code

_STYLES: Final[Mapping[str, str]] = {
    "succeeded": "green",
    "failed": "red",
    "cancelled": "yellow",
    "expired": "yellow",
    "over_budget": "yellow",
    "refused": "yellow",
    "paused": "yellow",
    "not_copied": "yellow",
    "copy_overdue": "yellow",
    "copy_failed": "red",
    "late_answer": "magenta",
    "in_doubt": "magenta",
    "ok": "green",
    "warn": "yellow",
    "fail": "red",
}


class PipeClosed(Exception):
    """The reader of the output has gone, as in ``| head -1``."""


class _Console(Console):
    def on_broken_pipe(self) -> None:
        raise PipeClosed


class Output:
    """Text for people or, ``as_json``, one JSON object a line for programs.

    A line is never wrapped or cut, so an id can be copied from it and a program can read it. Colours only on
    a terminal that has them.
    """

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self._data = _Console()
        self._asides = _Console(stderr=True)

    def line(self, text: str, mood: str = "") -> None:
        """One line of text; ``mood`` is the state or event that colours it."""
        self._data.out(_printable(text), style=_STYLES.get(mood), highlight=False)

    def json(self, value: JsonObject) -> None:
        """One JSON object."""
        self._data.out(_json(value), highlight=False)

    def say(self, value: JsonObject, *lines: str, mood: str = "") -> None:
        """Print the value as JSON, or else the lines."""
        if self.as_json:
            self.json(value)
        else:
            for line in lines:
                self.line(line, mood)

    def error(self, error: Exception, *, job_id: str | None = None) -> ExitCode:
        """Print an error, and return the exit code that goes with it."""
        code = exit_code(error)
        self.complaint(type(error).__name__, str(error), code, job_id=job_id)
        return code

    def complaint(self, kind: str, message: str, code: ExitCode, *, job_id: str | None = None) -> None:
        """Print an error to standard error."""
        text = _json(error_as_json(kind, message, code, job_id)) if self.as_json else f"limner: {message}"
        self._asides.out(_printable(text), style="red", highlight=False)

    def waiting(self, what: str) -> contextlib.AbstractContextManager[object]:
        """A sign of life while a call blocks, if somebody watches. Print nothing meanwhile: it takes over
        standard output."""
        if self.as_json or not self._asides.is_interactive:
            return contextlib.nullcontext()
        return self._asides.status(_printable(what))


def _json(value: JsonObject) -> str:
    # ASCII, so that it is readable in any locale and no character of a message can end the line.
    return json.dumps(value)


def _printable(text: str) -> str:
    # Messages come from the provider and prompts from anybody: no escape sequence reaches the terminal.
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
