"""The sources of an account's key, and the allowed forms of a key."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from config.accounts import AccountOptions, checked_key


@pytest.mark.parametrize("key", ["kie-secret", "env:", "file:", "ENV:KEY", "", "http://key"])
def test_a_key_is_named_and_never_given_or_shown(key: str) -> None:
    with pytest.raises(
        ValidationError, match="must say where the key is, as env:VARIABLE or file:PATH"
    ) as no:
        AccountOptions(key=key)
    assert "kie-secret" not in str(no.value.errors(include_input=False))


def test_an_option_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValidationError, match="rate_request\n"):
        AccountOptions.model_validate({"key": "env:KEY", "rate_request": 20})


@pytest.mark.parametrize(
    "wrong",
    [{"rate_requests": 0}, {"rate_seconds": 0}, {"rate_seconds": float("inf")}, {"max_in_flight": 1_000_001}],
)
def test_a_limit_out_of_its_bounds_is_named(wrong: dict[str, float]) -> None:
    [name] = wrong
    with pytest.raises(ValidationError, match=name):
        AccountOptions.model_validate({"key": "env:KEY", **wrong})


def test_a_key_is_read_from_its_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NORTH_KEY", "k1")
    assert AccountOptions(key="env:NORTH_KEY").read_key(tmp_path) == "k1"


@pytest.mark.parametrize("text", [None, "", " \n"])
def test_a_variable_without_a_key_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str | None
) -> None:
    monkeypatch.delenv("NORTH_KEY", raising=False)
    if text is not None:
        monkeypatch.setenv("NORTH_KEY", text)
    with pytest.raises(ValueError, match="the variable NORTH_KEY is not set"):
        AccountOptions(key="env:NORTH_KEY").read_key(tmp_path)


def test_a_file_is_looked_for_in_the_folder_of_secrets_or_by_its_whole_path(tmp_path: Path) -> None:
    (tmp_path / "north").write_text("k1\n")
    assert AccountOptions(key="file:north").read_key(tmp_path) == "k1\n"
    assert AccountOptions(key=f"file:{tmp_path / 'north'}").read_key(Path("elsewhere")) == "k1\n"


def test_a_file_that_cannot_be_read_is_named_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"north cannot be read \(No such file or directory\)"):
        AccountOptions(key="file:north").read_key(tmp_path)
    (tmp_path / "north").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match=r"north cannot be read \(it is not UTF-8\)"):
        AccountOptions(key="file:north").read_key(tmp_path)


def test_a_key_loses_its_surrounding_space() -> None:
    assert checked_key(" k1\r\n") == "k1"


@pytest.mark.parametrize("text", ["", " ", "two words", "schlüssel", "a\nb", "a\x00"])
def test_a_key_that_no_header_can_hold_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be printable ASCII without spaces"):
        checked_key(text)


@pytest.mark.parametrize("text", ["'kie-secret'", '"kie-secret"', '"kie-secret', "kie-secret'", "'", '""'])
def test_a_key_in_quotes_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(ValueError, match="has quotes around it") as caught:
        checked_key(text)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("text", ["Bearer kie-secret", "bearer kie-secret"])
def test_a_key_with_the_word_before_it_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(ValueError, match="begins with Bearer; give the key alone") as caught:
        checked_key(text)
    assert "secret" not in str(caught.value)
