"""Hides secrets in texts: API keys, tokens of callback URLs, passwords of URLs.

A secret is found in any case, behind escapes of JSON and of URLs, however many layers, and in UTF-16. A text
must be searched before it is cut, since half a secret is not found.
"""

import logging
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

HIDDEN: Final = "***"
SHORTEST: Final = 4
"""Characters. A shorter secret cannot be told from other text."""
_WORD: Final = 8
"""Characters. A shorter secret is hidden only where it stands as a word of its own."""

_ESCAPE: Final = r"\\{1,15}"
"""The backslashes before an escaped character, in up to four layers of JSON. The bound bounds the time."""
_PERCENT: Final = r"%(?:25){0,3}"
_GAP: Final = rf"(?:\x00|{_ESCAPE}x00|{_ESCAPE}u0000|{_PERCENT}00)*"
"""Between the characters of a text in UTF-16 that was read as another one."""
_ENCODED: Final = ("%", "\\", "\x00")
"""Texts with none of these hold no secret but as it is."""


def hidden(text: str, secrets: Iterable[str] = ()) -> str:
    """The text without these secrets, without the ends of callback URLs, and without passwords in URLs."""
    known = _known(tuple(secrets))
    lower = text.lower()
    encoded = any(mark in text for mark in _ENCODED)
    if encoded or "callbacks" in lower:
        text = _PATH.sub(r"\1…", text)
    if "@" in text and ":" in text:
        text = _PASSWORD.sub(rf"\1{HIDDEN}", text)
    if known.pattern and (encoded or any(head in lower for head in known.heads)):
        text = known.pattern.sub(HIDDEN, text)
    return text


def redact(record: logging.LogRecord, secrets: Iterable[str] = ()) -> None:
    """Hide secrets in all that a log record says: message, arguments, traceback, stack and extra fields."""
    redact_said(record, secrets)
    redact_extra(record, secrets)


def redact_said(record: logging.LogRecord, secrets: Iterable[str]) -> None:
    """Hide secrets in the message, its arguments, the traceback and the stack of a log record."""
    _redact_message(record, secrets)
    if record.exc_info and not record.exc_text:
        told = _FORMATTER.formatException(record.exc_info)
        if (safe := hidden(told, secrets)) != told:
            # Whoever formats the exception anew would show the secret.
            record.exc_text, record.exc_info = safe, None
    elif record.exc_text:
        record.exc_text = hidden(record.exc_text, secrets)
    if record.stack_info:
        record.stack_info = hidden(record.stack_info, secrets)


def redact_extra(record: logging.LogRecord, secrets: Iterable[str]) -> None:
    """Hide secrets in the fields that the caller has added to a log record."""
    for name in vars(record).keys() - _USUAL:
        setattr(record, name, _safe(getattr(record, name), secrets))


def _redact_message(record: logging.LogRecord, secrets: Iterable[str]) -> None:
    try:
        told = record.getMessage()
    except Exception:
        # A wrong call of the logger, which the handler reports, with the message and the arguments.
        told = f"{record.msg} {record.args}"
    safe = hidden(told, secrets)
    if safe == told:
        return
    # Formatters such as uvicorn's read the arguments, so they are kept where that suffices.
    record.msg = _safe(record.msg, secrets)
    if isinstance(record.args, Mapping):
        record.args = {name: _safe(value, secrets) for name, value in record.args.items()}
    elif record.args:
        record.args = tuple(_safe(value, secrets) for value in record.args)
    try:
        told = record.getMessage()
    except Exception:
        # The place of an argument was hidden.
        told = ""
    if told != safe:
        record.msg, record.args = safe, None


def _safe(value: Any, secrets: Iterable[str]) -> Any:
    """The value itself if its text has no secret; otherwise its text without them."""
    if value is None or isinstance(value, int | float):
        return value
    told = str(value)
    safe = hidden(told, secrets)
    return value if safe == told else safe


class _Known(NamedTuple):
    """The secrets of a process."""

    heads: tuple[str, ...]
    """The beginning of each, by which most texts are seen to have none."""
    pattern: re.Pattern[str] | None


@lru_cache(maxsize=64)
def _known(secrets: tuple[str, ...]) -> _Known:
    # A longer one first: it may begin with a shorter one.
    found = sorted({secret for secret in secrets if len(secret) >= SHORTEST}, key=len, reverse=True)
    patterns = [
        _spelled(secret) if len(secret) >= _WORD else rf"(?<![^\W_]){_spelled(secret)}(?![^\W_])"
        for secret in found
    ]
    return _Known(
        tuple(secret[:SHORTEST].lower() for secret in found),
        re.compile("|".join(patterns), re.IGNORECASE) if patterns else None,
    )


def _spelled(text: str) -> str:
    """A pattern for all spellings of a text."""
    return _GAP.join(map(_character, text))


def _character(character: str) -> str:
    units, octets = character.encode("utf-16-be").hex(), [f"{octet:02x}" for octet in character.encode()]
    escape = "".join(f"{_ESCAPE}u{units[at : at + 4]}" for at in range(0, len(units), 4))
    percent = "".join(f"{_PERCENT}{octet}" for octet in octets)
    python = "".join(f"{_ESCAPE}x{octet}" for octet in octets)
    return f"(?:(?:{_ESCAPE})?{re.escape(character)}|{escape}|{percent}|{python})"


_PATH: Final = re.compile(
    rf"({_spelled('/callbacks/')})(?:[^\s\"'<>\\]|{_ESCAPE}[^\s\"'<>\\])+",
    re.IGNORECASE,
)
_PASSWORD: Final = re.compile(rf"(:(?:(?:{_ESCAPE})?/){{2}}[^\s/?#:@\"'\\]*:)[^\s/?#@\"'\\]+(?=@)")

_FORMATTER: Final = logging.Formatter()
_USUAL: Final = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime"})
"""The fields of every log record."""
