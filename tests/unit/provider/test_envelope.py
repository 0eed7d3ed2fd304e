"""Values of an envelope, read tolerantly and within bounds."""

from decimal import Decimal

import pytest

from provider.envelope import (
    MAX_URL,
    MAX_URLS,
    Envelope,
    clean,
    excerpt,
    read_code,
    read_decimal,
    read_envelope,
    read_integer,
    read_nested,
    read_task_id,
    read_urls,
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


@pytest.mark.parametrize("value", [10**15, "9" * 16, Decimal("1e999999"), Decimal("NaN"), True, "1e3", -1])
def test_what_is_no_whole_number_of_fifteen_digits_is_none(value: object) -> None:
    assert read_integer(value) is None


@pytest.mark.parametrize(
    ("value", "amount"),
    [
        (7, Decimal(7)),
        ("3.5", Decimal("3.5")),
        (Decimal("0.12345678"), Decimal("0.123457")),
        ("-2", Decimal(-2)),
        (1_000_000_000, None),
        (Decimal("1e999999"), None),
        (Decimal("Infinity"), None),
        ("1e3", None),
        (True, None),
        (None, None),
    ],
)
def test_credits_are_exact_to_six_places_and_no_sum_that_nobody_has(
    value: object, amount: Decimal | None
) -> None:
    assert read_decimal(value) == amount


def test_json_is_read_through_strings_of_strings_but_not_for_ever() -> None:
    assert read_nested('"{\\"a\\": 1}"') == {"a": 1}
    assert read_nested({"a": 1}) == {"a": 1}
    assert read_nested('"\\"\\\\\\"{}\\\\\\"\\""') == "{}"


@pytest.mark.parametrize("data", [None, "t1", {}, {"taskId": 7}, {"taskId": "a b"}, {"taskId": "x" * 257}])
def test_a_task_id_is_one_printable_word(data: object) -> None:
    assert read_task_id(data) is None
    assert read_task_id({"taskId": " t1 "}) == "t1"


@pytest.mark.parametrize(
    "url", ["", "ftp://a/b", "https://", "https://a b", "https://a/\n", "https://a/" + "x" * MAX_URL, 7, None]
)
def test_only_http_urls_of_a_bounded_length_are_kept(url: object) -> None:
    assert read_urls([url, "HTTPS://a/b?c#d"]) == ("HTTPS://a/b?c#d",)


def test_of_too_many_urls_the_first_are_kept() -> None:
    urls = [f"https://a/{number}" for number in range(MAX_URLS + 1)]
    assert read_urls(urls) == tuple(urls[:MAX_URLS])
    assert read_urls("https://a") == ()


def test_text_from_outside_is_printable_single_spaced_and_bounded() -> None:
    assert clean(" a\x1b[31m\r\n\u202e b ") == "a [31m b"
    assert len(clean("x" * 10_000)) == 500
    assert clean(7) == ""


def test_an_excerpt_of_a_page_can_be_read_whatever_its_bytes() -> None:
    assert excerpt(b"<html>\xff\n" + b"x" * 10_000).startswith("<html>\ufffd xxx")
    assert len(excerpt(b"x" * 10_000)) == 200
