"""Tokens stay out of an access log."""

import logging

from limner.callbacks import HideToken


def logged(message: str, *arguments: object) -> str:
    record = logging.LogRecord("uvicorn.access", logging.INFO, __file__, 1, message, arguments, None)
    assert HideToken().filter(record)
    return record.getMessage()


def test_the_path_of_a_callback_is_shortened_among_the_arguments() -> None:
    line = logged('%s - "%s %s" %d', "10.0.0.1", "POST", "/hooks/callbacks/j1/s3cret?a=b", 200)
    assert line == '10.0.0.1 - "POST /hooks/callbacks/…" 200'


def test_the_path_of_a_callback_is_shortened_in_a_finished_line() -> None:
    assert logged('"POST /callbacks/j1/s3cret HTTP/1.1" 200') == '"POST /callbacks/… HTTP/1.1" 200'


def test_other_paths_are_logged_as_they_are() -> None:
    assert logged("%s", "/images/j1/s3cret") == "/images/j1/s3cret"


def test_arguments_by_name_are_left_alone() -> None:
    assert logged("%(path)s", {"path": "/other"}) == "/other"
