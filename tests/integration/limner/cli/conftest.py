"""The command line in this process, on a real ledger."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from limner.cli.app import main

Run = Callable[..., list[Any]]


@pytest.fixture
def limner_cli(valkey_url: str, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command with ``--json`` that must end with ``code``; returns the objects that it printed."""

    def run(*arguments: str, code: int = 0) -> list[Any]:
        assert main(["--redis-url", valkey_url, "--json", *arguments]) == code
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return run
