"""Values of an envelope, read tolerantly and within bounds."""

from decimal import Decimal

import pytest

from provider.envelope import (
    Envelope,
    clean,
    excerpt,
    header,
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


def test_a_header_is_found_in_any_case() -> None:
    assert header({"Location": "/a"}, "location") == "/a"
    assert header({}, "location") == ""


@pytest.mark.parametrize(
    ("page", "text"),
    [
        (
            b"<html><head><title>502</title><style>p {}</style></head><body>Bad <b>Gate</b>way",
            "502 Bad Gate way",
        ),
        (b"<script>alert(1)</script>a<!-- b -->c<script>d", "a c"),
        (b"a &lt;b&gt;c&lt;/b&gt; &amp; d", "a c & d"),
        (b"5 < 6 and 7 > 6", "5 < 6 and 7 > 6"),
        (b"Bad <a href='", "Bad"),
        ("<p>坏网关".encode("utf-16"), "坏网关"),
        (b"error code: 521", "error code: 521"),
        (b'{"message":"no"}', '{"message":"no"}'),
        (b"see https://h/callbacks/7/token", "see https://h/callbacks/***"),
    ],
)
def test_an_excerpt_of_a_page_is_its_text(page: bytes, text: str) -> None:
    assert excerpt(page) == text


def test_an_excerpt_of_a_page_can_be_read_whatever_its_bytes() -> None:
    assert excerpt(b"<html>\xff\n" + b"x" * 10_000).startswith("\ufffd xxx")
    assert len(excerpt(b"x" * 10_000)) == 200


@pytest.mark.parametrize("part", [b"<script", b"<!--", b"<", b"<a", b"&", b"&lt;", b"<script></script"])
def test_a_monstrous_page_costs_no_time_that_grows_with_its_square(part: bytes) -> None:
    # A quadratic search of these takes minutes, and the test has a time limit.
    excerpt(part * 1_000_000)
