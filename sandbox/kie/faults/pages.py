"""Pages of intermediaries, which answer in place of the API, without a code (contract 1.4, 10)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

__all__ = ["ELSEWHERE", "PAGES", "Page"]

ELSEWHERE: Final = "https://moved.example/login"
"""The target of redirects. The name can never resolve (RFC 2606)."""


@dataclass(frozen=True)
class Page:
    """A page: its HTTP status, its heading, its own headers and its body."""

    status: int
    heading: str
    headers: Mapping[str, str] = field(default_factory=dict)

    text: str | None = None
    """The body, if it is not HTML with the heading."""
    media_type: str = "text/html"

    @property
    def body(self) -> str:
        if self.text is not None:
            return self.text
        title = f"{self.status} {self.heading}"
        return f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"


_CLOUDFLARE: Final = {"server": "cloudflare", "cf-ray": "8f2d6c1b4e7a0d3c-FRA"}
_MOVED: Final = {"location": ELSEWHERE}

PAGES: Mapping[str, Page] = MappingProxyType(
    {
        "502": Page(502, "Bad Gateway"),
        "503": Page(503, "Service Temporarily Unavailable"),
        "504": Page(504, "Gateway Time-out"),
        "520": Page(520, "Web server is returning an unknown error", _CLOUDFLARE),
        "521": Page(521, "Web server is down", _CLOUDFLARE),
        "522": Page(522, "Connection timed out", _CLOUDFLARE),
        "523": Page(523, "Origin is unreachable", _CLOUDFLARE),
        "524": Page(524, "A timeout occurred", _CLOUDFLARE),
        "525": Page(525, "SSL handshake failed", _CLOUDFLARE),
        "526": Page(526, "Invalid SSL certificate", _CLOUDFLARE),
        "530": Page(530, "Origin DNS error", _CLOUDFLARE),
        "403": Page(403, "Just a moment...", {**_CLOUDFLARE, "cf-mitigated": "challenge"}),
        "404": Page(404, "Not Found"),
        "429": Page(429, "Too Many Requests"),
        "500": Page(500, "Internal Server Error"),
        "502_json": Page(502, "", text='{"message": "Internal server error"}', media_type="application/json"),
        "503_text": Page(503, "", text="Internal error", media_type="text/plain"),
        "504_empty": Page(504, "", text=""),
        "200": Page(200, "Sign in to the network"),
        "301": Page(301, "Moved Permanently", _MOVED),
        "302": Page(302, "Found", _MOVED),
        "307": Page(307, "Temporary Redirect", _MOVED),
        "308": Page(308, "Permanent Redirect", _MOVED),
    }
)
"""The pages by variant of the faults ``html_before``, ``html_after``, ``record_html`` and ``file_html``."""
