"""The URLs of a finished task's images, in whatever shape the provider sends them (contract 2.2, 10)."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final
from urllib.parse import urljoin

from provider.envelope import read_json

MAX_URL: Final = 8192
MAX_URLS: Final = 16

_DEPTH: Final = 8
_MOST_VALUES: Final = 1000
_URL: Final = re.compile(r"https?://[^\s/?#\\]+([/?#]\S*)?", re.IGNORECASE)
_HOST_RELATIVE: Final = re.compile(r"//[^\s/?#\\]+/\S+")
_PATH: Final = re.compile(
    r"(?:\.{0,2}/[^\s/\\]\S*|[^\s:\\]+\.(?:png|jpe?g|webp|gif|avif|bmp|svg|heic)(?:\?\S*)?)", re.I
)
# The look-behind keeps the search of a long row of blanks linear.
_BETWEEN: Final = re.compile(r"(?<![\s,;|])[\s,;|]+(?=https?://)", re.IGNORECASE)
_SEPARATORS: Final = str.maketrans("", "", "_- ")

_NOT_RESULTS: Final = frozenset(
    {
        *(
            "param",
            "params",
            "parameters",
            "input",
            "inputs",
            "request",
            "callbackurl",
            "webhook",
            "webhookurl",
        ),
        *("firstframeurl", "lastframeurl", "originurl", "originurls", "inputurl", "inputurls", "maskurl"),
        *(
            "sourceurl",
            "referenceimageurls",
            "thumbnail",
            "thumbnails",
            "thumbnailurl",
            "preview",
            "previewurl",
        ),
        *("prompt", "docs", "docurl", "helpurl"),
    }
)
"""Fields, in lower case and without separators, whose URLs are not those of the images."""

_RESULTS: Final = re.compile(r"ur[li]s?|images?|results?|files?|outputs?|links?|href|src|paths?")
"""Fields that name a URL: a relative one is known by the field alone."""

_SOURCES: Final = ("response", "resultJson")
"""The fields of a record that hold results, the preferred one first (contract 10)."""


@dataclass(frozen=True, slots=True)
class Found:
    """The URLs of the images, in order and each once; ``relative`` of them were relative."""

    urls: tuple[str, ...] = ()
    relative: int = 0


def read_urls(data: Mapping[str, Any], api_url: str) -> Found:
    """The URLs in a record's data, at most 16 of at most 8192 characters.

    The sources are not mixed, because they name the same images: the first counts that has absolute URLs,
    and without such a source, the first that has any.
    """
    fallback = Found()
    for source in _sources(data):
        found = _found(source, api_url)
        if found.urls and not found.relative:
            return found
        fallback = fallback if fallback.urls else found
    return fallback


def read_link(data: object, api_url: str) -> str | None:
    """The link in the data of an answer to download-url, in whatever shape; None if there is none."""
    found = _found({"url": data}, api_url).urls
    return found[0] if found else None


def _sources(data: Mapping[str, Any]) -> Iterator[object]:
    for name in _SOURCES:
        if source := data.get(name):
            yield source
    # A text counts only under a field's name that promises a URL: a message may be nothing but a link.
    yield {
        name: value
        for name, value in data.items()
        if name not in _SOURCES and (isinstance(value, list | dict) or _promises(_folded(name)))
    }


def _found(source: object, api_url: str) -> Found:
    found: dict[str, bool] = {}
    for text, named in islice(_texts(source, True, _DEPTH), _MOST_VALUES):
        for part in _BETWEEN.split(text) if "://" in text[8:] else (text,):
            url, relative = _resolved(part, api_url, named)
            if url and len(found) < MAX_URLS:
                found.setdefault(url, relative)
    return Found(tuple(found), sum(found.values()))


def _texts(value: object, named: bool, depth: int) -> Iterator[tuple[str, bool]]:
    # Yields the strings of a value, each with True if the field's name promises a URL.
    if depth == 0 or not value:
        return
    if isinstance(value, str):
        text = value.strip()
        if text.startswith(("{", "[", '"')):
            yield from _texts(read_json(text), named, depth - 1)
        elif len(text) <= MAX_URL * MAX_URLS:
            yield text, named
    elif isinstance(value, list):
        for item in islice(value, _MOST_VALUES):
            yield from _texts(item, named, depth - 1)
    elif isinstance(value, Mapping):
        for name, item in islice(value.items(), _MOST_VALUES):
            folded = _folded(name)
            if folded not in _NOT_RESULTS:
                yield from _texts(item, (named and folded.isdigit()) or _promises(folded), depth - 1)


def _resolved(text: str, api_url: str, named: bool) -> tuple[str, bool]:
    # The absolute URL, or "", and whether it was relative.
    if len(text) > MAX_URL or " " in text or not text.isprintable():
        return "", False
    if _URL.fullmatch(text):
        return text, False
    if not named:
        return "", False
    if _HOST_RELATIVE.fullmatch(text):
        return f"https:{text}", False
    if not _PATH.fullmatch(text):
        return "", False
    try:
        url = urljoin(_root(api_url), text)
    except ValueError:
        return "", False
    return (url, True) if len(url) <= MAX_URL else ("", False)


def _root(api_url: str) -> str:
    scheme, _, rest = api_url.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}/"


def _folded(name: str) -> str:
    return name.lower().translate(_SEPARATORS)


def _promises(folded: str) -> bool:
    return _RESULTS.search(folded) is not None
