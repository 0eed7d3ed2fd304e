"""HTTP messages in httpcore's form.

httpx's own client builds, merges and checks far more for each exchange than this API needs: in a measurement,
its layers took half of the CPU of an exchange. So the common parts of all requests are prepared once.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import httpcore
import httpx
from pydantic import SecretStr

from provider.envelope import clean

_JSON: Final = (b"Content-Type", b"application/json")


class Requests:
    """Makes the requests of one client, which differ only in their method, path and content.

    ``timeouts`` are those of httpcore, in seconds: connect, read and write.
    """

    def __init__(
        self, api_url: str, api_key: SecretStr, user_agent: str, timeouts: Mapping[str, float]
    ) -> None:
        url = httpx.URL(api_url)
        at = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=b"/")
        self.origin = at.origin
        """The destination of all requests."""
        self._scheme, self._host, self._port = at.scheme, at.host, at.port
        self._base = url.raw_path.rstrip(b"/")
        self._extensions: dict[str, Any] = {"timeout": dict(timeouts)}
        self._common = [
            (b"Host", url.netloc),
            # Without it, an HTTP/1.0 proxy closes the connection after each answer.
            (b"Connection", b"keep-alive"),
            (b"Accept", b"application/json"),
            # Answers are a kilobyte or two. A body that is compressed nevertheless is decoded with a size
            # limit.
            (b"Accept-Encoding", b"identity"),
            (b"Authorization", b"Bearer " + api_key.get_secret_value().encode()),
            (b"User-Agent", user_agent.encode()),
        ]

    def get(self, path: str) -> httpcore.Request:
        """A GET request for ``path``, which is ASCII and may have a query."""
        return self._request("GET", path, self._common, None)

    def post(self, path: str, content: bytes) -> httpcore.Request:
        """A POST request with JSON for ``path``."""
        length = (b"Content-Length", b"%d" % len(content))
        return self._request("POST", path, [*self._common, _JSON, length], content)

    def _request(
        self, method: str, path: str, headers: list[tuple[bytes, bytes]], content: bytes | None
    ) -> httpcore.Request:
        url = httpcore.URL(
            scheme=self._scheme, host=self._host, port=self._port, target=self._base + path.encode()
        )
        return httpcore.Request(method, url, headers=headers, content=content, extensions=self._extensions)


def read_headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """An answer's headers by their lower-case names; the values of a repeated header are joined by commas."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in raw:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def read_location(http_status: int, headers: Mapping[str, str]) -> str:
    """The destination of a redirect, bounded and without user, query and fragment; "" if there is none."""
    if not 300 <= http_status < 400:
        return ""
    path, *_ = re.split(r"[?#]", clean(headers.get("location")), maxsplit=1)
    return re.sub(r"^([^/]*//)[^/]*@", r"\1", path)
