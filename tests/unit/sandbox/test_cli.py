"""The sandbox's command line."""

from dataclasses import fields

import pytest
import typer
from typer.testing import CliRunner

from sandbox.cli import app
from sandbox.kie.options import ProviderOptions


def test_the_stand_in_has_an_option_for_every_field() -> None:
    command = typer.main.get_command(app).commands["provider"]  # type: ignore[attr-defined]
    options = {parameter.name: parameter for parameter in command.params}
    assert set(options) == {"ready_fd", *(field.name for field in fields(ProviderOptions))}
    assert {name for name, option in options.items() if option.hidden} == {"ready_fd"}
    for field in fields(ProviderOptions):
        assert options[field.name].help == field.metadata["help"]


@pytest.mark.parametrize(
    ("option", "value", "named"),
    [
        ("--speed", "0", "speed: must be above 0"),
        ("--faults", '{"nonsense": 1}', "nonsense: no such fault"),
        ("--window", "round", "--window"),
    ],
)
def test_a_wrong_option_is_named_and_nothing_starts(option: str, value: str, named: str) -> None:
    done = CliRunner().invoke(app, ["provider", option, value], env={"COLUMNS": "200", "TERM": "dumb"})
    assert done.exit_code == 2
    assert named in done.output


def test_each_part_of_the_fleet_has_its_command() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert set(commands) == {"provider", "valkey", "rival", "up"}
