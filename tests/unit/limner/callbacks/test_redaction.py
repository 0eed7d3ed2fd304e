"""Tokens stay out of an access log."""

import logging

import pytest

from limner.callbacks import HideToken


def logged(message: str, *arguments: object) -> str:
    record = logging.LogRecord("uvicorn.access", logging.INFO, __file__, 1, message, arguments, None)
    assert HideToken().filter(record)
    return record.getMessage()


@pytest.mark.parametrize("path", ["/callbacks/job/s3cret", "/base/callbacks/a/b/s3cret/?x=1"])
def test_the_path_of_a_callback_is_shortened_among_the_arguments(path: str) -> None:
    line = logged('%s - "%s %s HTTP/%s" %d', "10.0.0.1", "POST", path, "1.1", 200)
    assert line == f'10.0.0.1 - "POST {path.partition("callbacks")[0]}callbacks/… HTTP/1.1" 200'


def test_the_path_of_a_callback_is_shortened_in_a_finished_line() -> None:
    assert logged('"POST /callbacks/j1/s3cret HTTP/1.1" 200') == '"POST /callbacks/… HTTP/1.1" 200'


def test_the_path_of_a_callback_is_shortened_among_arguments_by_name() -> None:
    assert logged("%(path)s", {"path": "/callbacks/j1/s3cret"}) == "/callbacks/…"


def test_other_paths_are_logged_as_they_are() -> None:
    assert logged("%s", "/images/j1/s3cret") == "/images/j1/s3cret"
