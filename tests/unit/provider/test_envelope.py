"""Values of an envelope, read tolerantly and within bounds."""

from decimal import Decimal

import pytest

from provider.envelope import (
    Envelope,
    clean,
    read_code,
    read_envelope,
    read_nested,
)


def test_the_first_text_of_either_key_is_the_message() -> None:
    assert read_envelope(b'{"code": 429, "msg": "", "message": "slow"}') == Envelope(429, "slow", None)


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"\xff", b"<html>", b"[" * 100_000])
def test_what_is_no_json_object_is_no_envelope(body: bytes) -> None:
    assert read_envelope(body) is None


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (429, 429),
        ("429", 429),
        (Decimal("429.0"), 429),
        (Decimal("429.5"), -1),
        (1_000_000, -1),
        (-1, -1),
        (True, None),
        (None, None),
        ("ERROR", None),
        ([429], None),
    ],
)
def test_a_code_may_be_a_string_of_digits_and_is_minus_one_beyond_all_codes(
    value: object, code: int | None
) -> None:
    assert read_code(value) == code


def test_json_is_read_through_strings_of_strings_but_not_for_ever() -> None:
    assert read_nested('"{\\"a\\": 1}"') == {"a": 1}
    assert read_nested({"a": 1}) == {"a": 1}
    assert read_nested('"\\"\\\\\\"{}\\\\\\"\\""') == "{}"


def test_text_from_outside_is_printable_single_spaced_and_bounded() -> None:
    assert clean(" a\x1b[31m\r\n\u202e b ") == "a [31m b"
    assert len(clean("x" * 10_000)) == 500
    assert clean(7) == ""


def test_text_from_outside_has_no_token_of_a_callback_url() -> None:
    assert clean(" https:\\/\\/h\\/callbacks\\/7\\/tok\ren ") == "https:\\/\\/h\\/callbacks\\/*** en"
    # The token is cut in its middle.
    assert "tok" not in clean("x" * 1970 + " https://h/callbacks/7/" + "tok" * 900, 500)
