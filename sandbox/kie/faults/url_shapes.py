"""The shapes of a successful task's result (contract 2.2, 10)."""

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

__all__ = ["LATE", "LONG_URL", "URL_SHAPES"]

LONG_URL: Final = 2500
"""The length of a signed URL in characters."""

Shape = Callable[[list[str]], dict[str, Any]]


def _json(urls: Any) -> dict[str, Any]:
    return {"resultJson": json.dumps({"resultUrls": urls})}


def _path(url: str) -> str:
    return "/" + url.split("/", 3)[3] if url else ""


def _signed(url: str) -> str:
    return f"{url}?Signature=".ljust(LONG_URL, "0") if url else ""


def _objects(urls: list[str]) -> list[dict[str, str]]:
    return [{"url": url} for url in urls]


URL_SHAPES: Mapping[str, Shape] = MappingProxyType(
    {
        "string": lambda urls: _json(urls[0] if urls else ""),
        "object": lambda urls: _json({"url": urls[0] if urls else ""}),
        "objects": lambda urls: _json(_objects(urls)),
        "relative": lambda urls: _json([_path(url) for url in urls]),
        "protocol_relative": lambda urls: _json([url.partition(":")[2] for url in urls]),
        "long": lambda urls: _json([_signed(url) for url in urls]),
        "response": lambda urls: {"resultJson": "", "response": {"resultUrls": urls}},
        "response_string": lambda urls: {"resultJson": "", "response": json.dumps({"resultUrls": urls})},
        "nested": lambda urls: {"resultJson": json.dumps(json.dumps({"resultUrls": urls}))},
        "bare_list": lambda urls: {"resultJson": json.dumps(urls)},
        "other_key": lambda urls: {"resultJson": json.dumps({"images": _objects(urls)})},
    }
)
"""By variant of the fault ``url_shape``, the fields of the record that hold the URLs."""

LATE: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "empty": _json([]),
        "empty_text": {"resultJson": ""},
        "null": {"resultJson": None},
        "null_urls": _json(None),
        "empty_urls": _json(["", ""]),
        "object": {"resultJson": "{}"},
    }
)
"""By variant of the fault ``urls_late``, the same fields as long as there are no URLs."""
