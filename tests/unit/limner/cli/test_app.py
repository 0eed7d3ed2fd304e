"""Refusals of the command line before it connects to Redis: the URL leads nowhere, yet the exit code is 2."""

import io
import json
import os
import sys
from typing import Any

import pytest

from limner.cli.app import main

NOWHERE = "redis://:hush@127.0.0.1:1/0"


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LIMNER_REDIS_URL", "LIMNER_IDEMPOTENCY_SECONDS"):
        monkeypatch.delenv(name, raising=False)


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """The one error that a command with ``--json`` printed, with nothing else, before it exited with 2."""
    assert main(["--json", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    error = json.loads(err)
    assert error["exit_code"] == 2
    return error


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (["x" * 5001], "prompt"),
        (["a", "--metadata", "{"], "metadata"),
        (["a", "--metadata", "[1]"], "metadata"),
        (["a", "--metadata", "[" * 50_000], "metadata"),
        (["a", "--metadata", '{"a": NaN}'], "metadata"),
        (["a", "--metadata", '{"a": {"b": 1, "b": 2}}'], "the same key twice"),
        (["a", "--num-images", "5"], "num_images"),
        (["a", "--seed", "-1"], "seed"),
        (["a", "--style-code", "xyz"], "style_codes"),
        (["a", "--style", "DESIGN", "--style-code", "01234567"], "style"),
        (["a", "--style", "fancy"], "--style"),
        (["a", "--priority", "10"], "--priority"),
        (["a", "--idempotency-key", " "], "idempotency_key"),
        (["a", "--idempotency-seconds", "0"], "idempotency_seconds"),
        (["a", "--lane", ""], "lane"),
        (["a", "--lane", "x" * 65], "lane"),
        (["a", "--account", "\t"], "account"),
        (["a", "--expires-in", "0"], "expires_in"),
        (["a", "--colour", "red"], "--colour"),
        ([], "PROMPT"),
    ],
)
def test_bad_input_is_refused_by_the_name_of_its_field(
    capsys: pytest.CaptureFixture[str], arguments: list[str], field: str
) -> None:
    error = complaint(capsys, "--redis-url", NOWHERE, "submit", *arguments)
    assert field in error["message"]


@pytest.mark.parametrize(
    ("stdin", "reason"),
    [(b"\xff", "UTF-8"), (b"x" * 5001, "5000"), (b"\0" * 1_000_000, "5000"), (b"\n", "blank")],
)
def test_a_bad_prompt_on_standard_input_is_refused_by_name(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, stdin: bytes, reason: str
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
    message = complaint(capsys, "--redis-url", NOWHERE, "submit", "-")["message"]
    assert message.startswith("prompt: ")
    assert reason in message


@pytest.mark.parametrize(
    "bad",
    [
        "nonsense",
        "https://:hush@host",
        "redis://:hush/hush@host:6379",
        "redis://:hush@host:port",
        "redis://[:hush@host",
        "redis://:hush\N{ACCOUNT OF}@host",
        "redis://:hush@host?unknown=1",
    ],
)
def test_a_malformed_url_is_refused_and_no_part_of_it_is_told(
    capsys: pytest.CaptureFixture[str], bad: str
) -> None:
    message = complaint(capsys, "--redis-url", bad, "status", "x")["message"]
    assert "LIMNER_REDIS_URL" in message
    assert "hush" not in message


def test_without_a_url_the_setting_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert complaint(capsys, "status", "x")["message"].startswith("LIMNER_REDIS_URL: not set")


def test_arguments_that_are_not_text_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert complaint(capsys, "submit", os.fsdecode(b"\xff"))["message"] == "the arguments are not UTF-8"


def test_people_get_the_usage_and_no_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("Usage: python -m limner status ")
    assert "Missing argument 'JOB_ID'" in err


def test_a_word_that_follows_two_dashes_is_no_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--redis-url", "nonsense", "submit", "--", "--json"]) == 2
    assert capsys.readouterr().err.startswith("limner: LIMNER_REDIS_URL")
