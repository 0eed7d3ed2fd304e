import pytest
from typer.testing import CliRunner

from sandbox.cli import app
from sandbox.kie.limits.windows import Window
from sandbox.kie.options import ProviderOptions


def test_arguments_contain_only_options_that_differ_from_the_defaults() -> None:
    assert ProviderOptions().arguments() == []
    options = ProviderOptions(speed=20.0, window=Window.FIXED, hmac_key="secret")
    assert options.arguments() == ["--window", "fixed", "--speed", "20.0", "--hmac-key", "secret"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("speed", 0.0),
        ("tail", 1.5),
        ("http_status", -0.1),
        ("median", -1.0),
        ("tail_low", -1.0),
        ("tail_high", 119.0),
        ("create_latency", -0.1),
        ("read_latency", -0.1),
        ("latency_sigma", -0.1),
    ],
)
def test_a_value_out_of_range_is_named(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        ProviderOptions(**{name: value})  # type: ignore[arg-type]


def test_the_accepted_keys_are_those_of_all_accounts() -> None:
    assert ProviderOptions(accounts="north=a+b,south=c").accepted_keys == {"a", "b", "c"}
    assert ProviderOptions().accepted_keys == {"sandbox-key"}


def test_accounts_can_be_given_on_the_command_line() -> None:
    options = ProviderOptions(accounts="north=a+b,south=c")
    assert options.arguments() == ["--accounts", "north=a+b,south=c"]
    refused = CliRunner().invoke(app, ["provider", "--accounts", "north"], env={"COLUMNS": "300"})
    assert refused.exit_code == 2
    assert "accounts" in refused.output


def test_every_option_is_on_the_command_line() -> None:
    shown = CliRunner().invoke(app, ["provider", "--help"], env={"COLUMNS": "300"}).output
    names = [f"--{name.replace('_', '-')}" for name in ProviderOptions.__dataclass_fields__]
    assert [name for name in names if name not in shown] == []


def test_an_invalid_fault_is_refused_before_serving() -> None:
    result = CliRunner().invoke(app, ["provider", "--faults", '{"create_430": 1}'], env={"COLUMNS": "300"})
    assert result.exit_code == 2
    assert "create_430" in result.output
