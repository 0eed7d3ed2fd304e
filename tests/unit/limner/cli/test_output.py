"""Data on standard output, everything else on standard error, and no escape sequence on a terminal."""

import json

import pytest

from limner.cli.exits import ExitCode
from limner.cli.output import Output
from limner.errors import UnknownJob

Capture = pytest.CaptureFixture[str]


def test_a_long_line_is_neither_wrapped_nor_cut(capsys: Capture) -> None:
    Output(as_json=False).line("x" * 1000, "succeeded")
    assert capsys.readouterr().out == "x" * 1000 + "\n"


def test_an_escape_sequence_is_shown_and_not_obeyed(capsys: Capture) -> None:
    Output(as_json=False).line("a\x1b[31m red \u202e fox")
    assert capsys.readouterr().out == "a\\x1b[31m red \\u202e fox\n"


def test_what_looks_like_markup_is_text(capsys: Capture) -> None:
    Output(as_json=False).line("[bold]a fox[/bold]")
    assert capsys.readouterr().out == "[bold]a fox[/bold]\n"


def test_people_get_the_lines_and_programs_the_facts(capsys: Capture) -> None:
    Output(as_json=False).say({"n": 1}, "one", "two")
    assert capsys.readouterr().out == "one\ntwo\n"
    Output(as_json=True).say({"n": 1}, "one", "two")
    assert json.loads(capsys.readouterr().out) == {"n": 1}


def test_facts_are_one_line_of_ascii(capsys: Capture) -> None:
    Output(as_json=True).json({"prompt": "狐\n\u2028"})
    out = capsys.readouterr().out
    assert out == '{"prompt": "\\u72d0\\n\\u2028"}\n'


@pytest.mark.parametrize(
    ("as_json", "told"),
    [
        (False, "limner: no job j1\n"),
        (True, '{"error": "UnknownJob", "message": "no job j1", "exit_code": 4, "job_id": "j1"}\n'),
    ],
)
def test_an_error_goes_to_standard_error_and_gives_its_code(
    capsys: Capture, as_json: bool, told: str
) -> None:
    assert Output(as_json=as_json).error(UnknownJob("no job j1"), job_id="j1") is ExitCode.UNKNOWN_JOB
    assert capsys.readouterr() == ("", told)


def test_nobody_who_is_not_watching_gets_a_sign_of_life(capsys: Capture) -> None:
    with Output(as_json=False).waiting("waiting for j1"):
        pass
    assert capsys.readouterr() == ("", "")
