"""Secrets are found in every spelling, and nothing else is changed."""

import base64
import json
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.redaction import Redactor, without_callbacks

KEY = "kie-Secret-5c94F1aa3f0c9a5b"
REDACTOR = Redactor([KEY])


def each(form: Callable[[str], str]) -> str:
    return "".join(form(char) for char in KEY)


SPELLINGS = {
    "plain": KEY,
    "lower": KEY.lower(),
    "upper": KEY.upper(),
    "json": each(lambda char: f"\\u{ord(char):04x}"),
    "json in capitals": each(lambda char: f"\\u{ord(char):04X}"),
    "json in json": each(lambda char: f"\\\\u{ord(char):04x}"),
    "three layers": each(lambda char: f"\\\\\\\\u{ord(char):04x}"),
    "partly": KEY.replace("e", "\\u0065"),
    "percent": each(lambda char: f"%{ord(char):02X}"),
    "percent of percent": each(lambda char: f"%25{ord(char):02x}"),
    "python": each(lambda char: f"\\x{ord(char):02x}"),
    "html": each(lambda char: f"&#{ord(char)};"),
    "html in hex": each(lambda char: f"&#x{ord(char):x};"),
    "zeros": each(lambda char: f"{char}\0"),
    "mixed": "%6b\\u0069e" + KEY[3:].upper(),
}


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_the_key_is_found_in_every_spelling(spelling: str) -> None:
    assert REDACTOR.body(f"a {spelling} b {spelling}".encode()) == b"a *** b ***"
    assert REDACTOR.text(f"a {spelling} b") == "a *** b"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
def test_the_key_is_found_in_every_encoding(encoding: str) -> None:
    body = REDACTOR.body(f'{{"msg":"{KEY}"}}'.encode(encoding))
    assert json.loads(body) == {"msg": "***"}


@pytest.mark.parametrize("before", ["", "x", "xy", "Bearer "])
@pytest.mark.parametrize("after", ["", "x", "xy"])
def test_the_key_is_found_in_base64(before: str, after: str) -> None:
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        text = REDACTOR.text(encode(f"{before}{KEY}{after}".encode()).decode())
        assert "***" in text
        assert len(text) < 20


@pytest.mark.parametrize("secret", ["", "word", "x" * 15])
def test_a_short_secret_is_a_word(secret: str) -> None:
    assert Redactor([secret]).text(f"a {secret} b") == f"a {secret} b"


def test_a_redactor_shows_no_secret() -> None:
    assert KEY not in f"{REDACTOR!r} {REDACTOR}"


def test_all_secrets_are_found() -> None:
    both = Redactor([KEY, KEY[::-1]])
    assert both.text(f"{KEY} {KEY[::-1]}") == "*** ***"


ORDINARY = [
    b'{"code":200,"data":{"taskId":"3f0c9a5be1d24772a86b1d0e5c94f1aa"}}',
    b'{"resultUrls":["https://h/a%2Fb.png?sig=%3D%3D&x=\\u0026"]}',
    b'{"param":"{\\"callBackUrl\\":\\"https://h/callbacks/7/secret\\"}"}',
    "一只红色的风筝".encode(),
    b"\xff\xfe\x80",
    b"",
    KEY[:-1].encode(),
]


@pytest.mark.parametrize("body", ORDINARY)
def test_an_ordinary_body_is_unchanged(body: bytes) -> None:
    assert REDACTOR.body(body) == body


@given(st.binary())
def test_no_body_raises_and_what_has_no_key_stays(body: bytes) -> None:
    if b"\0" not in body and b"\xff" not in body:
        assert REDACTOR.body(body) == body
    assert KEY.encode() not in REDACTOR.body(body + KEY.encode() + body)


@given(st.text())
def test_no_text_raises(text: str) -> None:
    assert "secret" not in REDACTOR.text(f"{text} /callbacks/7/secret")


URL = "https://hooks.example/callbacks/7d1f/0aZ-9yX_secret"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f"see {URL} now", "see https://hooks.example/callbacks/*** now"),
        (f'"{URL}?a=b#c"', '"https://hooks.example/callbacks/***"'),
        (f"{URL}/more", "https://hooks.example/callbacks/***"),
        (URL[:-9], "https://hooks.example/callbacks/***"),
        (URL[:30], "https://hooks.example/callback"),
        (URL.upper(), "HTTPS://HOOKS.EXAMPLE/CALLBACKS/***"),
        (URL.replace("/", "\\/"), "https:\\/\\/hooks.example\\/callbacks\\/***"),
        (URL.replace("/", "\\\\/"), "https:\\\\/\\\\/hooks.example\\\\/callbacks\\\\/***"),
        (quote(URL, safe=""), "https%3A%2F%2Fhooks.example%2Fcallbacks%2F***"),
        (URL.replace("c", "\\u0063"), "https://hooks.example/\\u0063allba\\u0063ks/***"),
        (
            f'{{\\"callBackUrl\\":\\"{URL}\\",\\"x\\":1}}',
            '{\\"callBackUrl\\":\\"https://hooks.example/callbacks/***\\",\\"x\\":1}',
        ),
        ("callbacks are lost", "callbacks are lost"),
        ("/callbacks/", "/callbacks/"),
    ],
)
def test_what_follows_the_path_of_callbacks_is_hidden(text: str, left: str) -> None:
    assert without_callbacks(text) == left


@pytest.mark.parametrize("part", ["\\", "%25", "&#", "\\u006b", "k\0\0\0", "/callbacks", "\\/", "%"])
def test_a_monstrous_text_costs_no_time_that_grows_with_its_square(part: str) -> None:
    # A quadratic search of these takes minutes, and the test has a time limit.
    REDACTOR.text(part * 200_000)
