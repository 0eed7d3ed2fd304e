"""Refusals that repeat a secret of the request: the API key or the callback URL (contract 10)."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final
from urllib.parse import quote

__all__ = ["CODE", "ECHOES", "Echo"]

CODE: Final = 422
_JSON: Final = "application/json;charset=UTF-8"
_PLACE: Final = "SECRET"


@dataclass(frozen=True)
class Echo:
    """An answer in place of the refusal."""

    body: bytes
    status: int = 200
    content_type: str = _JSON
    reason: str = ""
    """The reason phrase, if the answer has an unusual one."""


def _envelope(secret: str) -> str:
    text = f"The request of {secret} was rejected"
    return json.dumps({"code": CODE, "msg": text, "data": None}, ensure_ascii=False)


def _plain(secret: str) -> Echo:
    return Echo(_envelope(secret).encode())


def _escapes(secret: str) -> str:
    return "".join(f"\\u{ord(character):04x}" for character in secret)


def _percents(secret: str) -> str:
    return "".join(f"%{byte:02X}" for byte in secret.encode())


def _cut(url: str) -> str:
    """The URL without the second half of its last segment, in which the token is."""
    start = url.rfind("/") + 1
    return url[: start + max(1, (len(url) - start) // 2)]


ECHOES: Mapping[str, Callable[[str, str], Echo]] = MappingProxyType(
    {
        "key": lambda key, _url: _plain(key),
        "key_escaped": lambda key, _url: Echo(
            _envelope(_PLACE).replace(_PLACE, _escapes(key)).encode(),
        ),
        "key_escaped_twice": lambda key, _url: _plain(_escapes(key)),
        "key_utf16": lambda key, _url: Echo(
            _envelope(key).encode("utf-16"), content_type="application/json;charset=UTF-16"
        ),
        "key_upper": lambda key, _url: _plain(key.upper()),
        "key_percent": lambda key, _url: _plain(_percents(key)),
        "key_base64": lambda key, _url: _plain(base64.b64encode(key.encode()).decode()),
        "key_page": lambda key, _url: Echo(
            f"<html><body><pre>Authorization: Bearer {key}</pre></body></html>".encode(), 502, "text/html"
        ),
        "key_reason": lambda key, _url: Echo(b"", CODE, reason=f"Rejected {key}"),
        "callback": lambda _key, url: _plain(url),
        "callback_cut": lambda _key, url: _plain(_cut(url)),
        "callback_percent": lambda _key, url: _plain(quote(url, safe="")),
        "callback_slashes": lambda _key, url: Echo(
            _envelope(_PLACE).replace(_PLACE, url.replace("/", "\\/")).encode()
        ),
    }
)
"""By variant of the fault ``echo_secret``, the answer, given the key and the callback URL or ``""``."""
