"""The command lines in the documentation, parsed by their programs."""

import importlib.util
import re
import shlex
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any, Final

import pytest
import typer

import examples.demo.__main__
import limner.cli.app
import sandbox.cli
from bench.__main__ import BENCHES, LONG, WITH_OPTIONS
from tests.integration.docs.pages import PAGES, Command, commands
from tests.repository import ROOT

demo = typer.Typer()
demo.command()(examples.demo.__main__.main)
# The class of Typer's commands has changed between versions.
TYPER: Final[dict[str, Any]] = {
    "limner": typer.main.get_command(limner.cli.app.app),
    "sandbox": typer.main.get_command(sandbox.cli.app),
    "examples.demo": typer.main.get_command(demo),
}
TARGETS: Final = re.findall(r"^(\.?[a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
RECIPES: Final = {"demo": ["examples.demo"], "up": ["sandbox", "up"], "bench": ["bench"], "test": ["pytest"]}
"""The programs that receive a target's ARGS."""

FOUND: Final = [command for page in PAGES for command in commands(page)]


def problem(text: str) -> str | None:
    """The fault of a command, None if it is valid. ``a | b`` are alternatives."""
    words = shlex.split(text, comments=True)
    if words[0] == "make":
        return _of_make(words[1:])
    module, *rest = words[2:]
    alternatives = " ".join(map(shlex.quote, rest)).split("'|'")
    return next(filter(None, (_of_module([module, *shlex.split(words)]) for words in alternatives)), None)


def _of_make(words: Sequence[str]) -> str | None:
    given = dict(word.split("=", 1) for word in words if "=" in word)
    for target in (word for word in words if "=" not in word):
        if target not in TARGETS:
            return f"no target {target}"
        if fault := _of_module([*RECIPES.get(target, []), *shlex.split(given.get("ARGS", ""))]):
            return fault
    return None


def _of_module(words: Sequence[str]) -> str | None:
    module, *rest = words or ["pytest"]
    if rest and rest[0] in WITH_OPTIONS:
        return _of_argparse(WITH_OPTIONS[rest[0]].parser(), rest[1:])
    if module == "bench":
        unknown = {*rest} - {*BENCHES, *LONG, "NAME"}
        return f"no bench {', '.join(sorted(unknown))}" if unknown else None
    if module in TYPER:
        return _of_typer(TYPER[module], rest)
    return None if importlib.util.find_spec(module) else f"no module {module}"


def _of_argparse(parser: ArgumentParser, words: list[str]) -> str | None:
    try:
        parser.parse_args(words)
    except SystemExit:
        return f"no options {' '.join(words)}"
    return None


def _of_typer(command: Any, words: list[str]) -> str | None:
    try:
        _, left, _ = command.make_parser(command.context_class(command)).parse_args(words)
    except typer.TyperException as error:
        return str(error)
    if not left:
        return None
    if left[0] not in getattr(command, "commands", {}):
        return f"no command {left[0]}"
    return _of_typer(command.commands[left[0]], left[1:])


@pytest.mark.parametrize("command", FOUND, ids=lambda command: f"{command.place} {command.text}")
def test_a_documented_command_is_valid(command: Command) -> None:
    assert problem(command.text) is None, command.place


def test_commands_are_found_in_blocks_and_in_prose() -> None:
    texts = [command.text for command in FOUND]
    assert len(texts) > 50
    assert "python -m sandbox valkey                              # prints its URL" in texts
    assert "python -m limner submit | status | wait | save | cancel | explain | tail" in texts


@pytest.mark.parametrize(
    "text",
    [
        "python -m limner queue",
        "python -m limner quota --yaml",
        "python -m limner status | halt",
        "python -m sandbox rival --pace 3",
        "python -m bench speed",
        "python -m bench outages --days 3",
        "python -m bench neighbour --scale 3",
        "python -m limner.nothing",
        "make coffee",
        'make up ARGS="--worker 2"',
    ],
)
def test_an_invalid_command_is_detected(text: str) -> None:
    assert problem(text)
