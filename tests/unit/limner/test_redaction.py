"""Secrets stay out of texts and of log records, whatever has been done to them."""

import json
import logging
import sys
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner._redaction import hidden, redact

KEY = "sk-Live/4f0c9A5be1d24772a86b1d0e5c94f1aa"
TOKEN = "n0t-4_secret.of~the-attempt"
URL = f"https://hooks.example.test/limner/callbacks/job-7/{TOKEN}"
SECRETS = (KEY, "whsec_ключ", "hook")


def as_units(text: str) -> str:
    return "".join(f"\\u{ord(character):04x}" for character in text)


def as_percents(text: str) -> str:
    return "".join(f"%{octet:02X}" for octet in text.encode())


SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "in capitals": str.upper,
    "in JSON": json.dumps,
    "in JSON with escaped slashes": lambda text: text.replace("/", "\\/"),
    "in four layers of JSON": lambda text: json.dumps(json.dumps(json.dumps(json.dumps(text)))),
    "as escapes": as_units,
    "as escapes in JSON": lambda text: json.dumps(as_units(text)),
    "partly as escapes": lambda text: text.replace("s", "\\u0073").replace("/", "\\u002F"),
    "in a URL": lambda text: quote(text, safe=""),
    "twice in a URL": lambda text: quote(quote(text, safe=""), safe=""),
    "as percents": as_percents,
    "in UTF-16": lambda text: text.encode("utf-16-le").decode("latin-1"),
    "in UTF-16, as Python shows it": lambda text: repr(text.encode("utf-16")),
    "in UTF-8, as Python shows it": lambda text: repr(text.encode()),
}
spelled = pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS)


def plain(text: str) -> str:
    """The letters and digits of a text, by which a secret would be recognised."""
    for mark in ("\\", "\x00", "x00"):
        text = text.replace(mark, "")
    return text.casefold()


@spelled
def test_a_key_is_hidden(spell: Callable[[str], str]) -> None:
    shown = hidden(f"refused: {spell(f'key {KEY} is unknown')}", SECRETS)
    assert "***" in shown
    for piece in (KEY, spell(KEY).strip('"'), KEY[:12], spell(KEY[3:12]).strip('"')):
        assert plain(piece) not in plain(shown)
    assert shown.startswith("refused: ")


@spelled
def test_the_token_of_a_callback_url_is_hidden(spell: Callable[[str], str]) -> None:
    shown = hidden(spell(f"see {URL} and more"))
    assert "…" in shown
    for piece in (TOKEN, spell(TOKEN).strip('"'), TOKEN[:8], "job-7"):
        assert plain(piece) not in plain(shown)


def test_what_follows_a_token_is_still_told() -> None:
    told = json.dumps({"param": json.dumps({"callBackUrl": URL, "model": "m"})})
    assert hidden(told) == told.replace(f"job-7/{TOKEN}", "…")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("redis://:s3cret@host:6379/0 is away", "redis://:***@host:6379/0 is away"),
        ("rediss://user:p%40ss:word@host/1", "rediss://user:***@host/1"),
        ('"redis:\\/\\/user:s3cret@host"', '"redis:\\/\\/user:***@host"'),
        ("amqp://guest:guest@rabbit//", "amqp://guest:***@rabbit//"),
        ("redis://host:6379/0", "redis://host:6379/0"),
        ("mail a@b.example: https://host:8080/x", "mail a@b.example: https://host:8080/x"),
    ],
)
def test_the_password_of_a_url_is_hidden(text: str, shown: str) -> None:
    assert hidden(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [("the hook is hook.", "the *** is ***."), ("hooked on unhooked hooks", "hooked on unhooked hooks")],
)
def test_a_short_secret_is_hidden_as_a_word(text: str, shown: str) -> None:
    assert hidden(text, SECRETS) == shown


@pytest.mark.parametrize(
    "text", ["job 3f0c9a5b succeeded", "100 % of /images/job-7/s3cret", "a \\n b", "", "sk-Live/4f0c9A5be1d2"]
)
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert hidden(text, SECRETS) == text
    assert hidden(text) == text


@given(st.text(), st.text(), st.sampled_from(list(SPELLINGS.values())))
def test_no_neighbours_make_it_visible(before: str, after: str, spell: Callable[[str], str]) -> None:
    secret = spell(KEY).strip('"')
    shown = hidden(f"{before}{secret}{after}", SECRETS)
    assert secret not in shown or secret in before or secret in after


@pytest.mark.parametrize("piece", ["\\", "%25", "\x00", "\\u0073", "/callbacks/", "://a:", "%5C", "s\\"])
def test_no_text_takes_long(piece: str) -> None:
    text = piece * (20_000 // len(piece)) + "@"
    hidden("compiled", SECRETS)
    began = time.perf_counter()
    hidden(text, SECRETS)
    assert time.perf_counter() - began < 2.0


# Log records


def record(message: object, *arguments: object, **fields: Any) -> logging.LogRecord:
    made = logging.LogRecord("any", logging.DEBUG, "file.py", 1, message, arguments, None)
    vars(made).update(fields)
    return made


class Speaking:
    """An object whose text has the key."""

    def __str__(self) -> str:
        return f"<client {KEY}>"


@pytest.mark.parametrize(
    ("message", "arguments"),
    [
        (f"key {KEY}", ()),
        ("key %s", (KEY,)),
        ("key %r", ({"key": [KEY]},)),
        ("%s", (Speaking(),)),
        (Speaking(), ()),
        ("key %(key)s", ({"key": KEY},)),
        ("%s%s", (KEY[:10], KEY[10:])),
        ("key %s, number %d, share %.1f", (KEY, 7, 0.5)),
        ("POST /callbacks/%s/%s %d", ("job-7", TOKEN, 200)),
        ("%s wrong call %d", (KEY,)),
    ],
)
def test_a_message_and_its_arguments_have_no_secret(message: object, arguments: tuple[object, ...]) -> None:
    made = record(message, *arguments)
    redact(made, SECRETS)
    try:
        told = made.getMessage()
    except TypeError:
        told = ""
    shown = f"{told} {made.msg} {made.args}"
    assert KEY not in shown
    assert KEY[10:] not in shown
    assert TOKEN not in shown


def test_arguments_stay_where_a_formatter_finds_them() -> None:
    made = record('%s - "%s %s" %d', "10.0.0.1", "POST", "/hooks/callbacks/j1/s3cret?a=b", 200)
    redact(made)
    assert made.args == ("10.0.0.1", "POST", "/hooks/callbacks/…", 200)


def test_a_record_without_secrets_stays_as_it_is() -> None:
    argument = object()
    made = record("job %s", argument, extra_field=argument)
    before = dict(vars(made))
    redact(made, SECRETS)
    assert vars(made) == before


def test_a_traceback_has_no_secret() -> None:
    try:
        raise ValueError(f"no {KEY}") from ConnectionError("redis://:s3cret@host")
    except ValueError:
        made = logging.LogRecord("any", logging.ERROR, "file.py", 1, "it failed", (), sys.exc_info())
    made.stack_info = f"Stack: {URL}"
    redact(made, SECRETS)
    told = logging.Formatter().format(made)
    assert "ValueError: no ***" in told
    assert "redis://:***@host" in told
    assert not any(secret in told for secret in (KEY, "s3cret", TOKEN))


def test_added_fields_have_no_secret() -> None:
    made = record("sent", headers={"Authorization": f"Bearer {KEY}"}, url=URL, number=7)
    redact(made, SECRETS)
    fields = vars(made)
    assert KEY not in str(fields)
    assert TOKEN not in str(fields)
    assert fields["number"] == 7
