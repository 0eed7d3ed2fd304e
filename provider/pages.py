"""Answers without an envelope: mostly the pages of an intermediary (contract 1.3)."""

import html
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from provider.answers import Cause
from provider.codes import PLAIN_STATUSES, UNPROCESSED_STATUSES
from provider.envelope import clean
from provider.redaction import utf8

MAX_EXCERPT: Final = 200

_MAX_ADDRESS: Final = 150
_READ: Final = 65_536
"""Bytes of a page that are searched for text."""
_HIDDEN: Final = re.compile(r"<!--.*?(?:-->|\Z)|<(script|style|svg)\b.*?(?:</\1\s*>|\Z)", re.I | re.S)
_TAG: Final = re.compile(r"<[/!?a-z][^<>]*>?", re.IGNORECASE)


def page_refusal(http_status: int, headers: Mapping[str, str]) -> Cause | None:
    """The cause for which createTask is refused, if the status or a challenge proves a refusal."""
    if cause := PLAIN_STATUSES.get(http_status):
        return cause
    challenged = _header(headers, "cf-mitigated").strip().lower() == "challenge"
    return Cause.GATEWAY if challenged or http_status in UNPROCESSED_STATUSES else None


def page_message(headers: Mapping[str, str], body: bytes) -> str:
    """The target of a redirect, without secrets, and the text of the page: at most 200 characters."""
    text = excerpt(body)
    location = _header(headers, "location")
    return clean(f"redirect to {_address(location)} {text}", MAX_EXCERPT) if location else text


def excerpt(body: bytes) -> str:
    """The text of a page, without tags and scripts: at most 200 characters."""
    text = _HIDDEN.sub(" ", utf8(body[:_READ]).decode("utf-8", "replace"))
    # Tags may be escaped as text of the page.
    return clean(_TAG.sub(" ", html.unescape(_TAG.sub(" ", text))), MAX_EXCERPT)


def _header(headers: Mapping[str, str], name: str) -> str:
    return next((value for given, value in headers.items() if given.lower() == name), "")


def _address(location: str) -> str:
    # A user, a password and a query may be secrets.
    try:
        parts = urlsplit(location)
    except ValueError:
        return "an invalid URL"
    origin = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts.netloc else ""
    return clean(f"{origin}{parts.path}", _MAX_ADDRESS)
