"""The checks of the settings that say where copies of images go, and what they are called."""

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from string import Formatter
from typing import Final, Literal, cast
from urllib.parse import SplitResult, urlsplit

Scheme = Literal["file", "s3", "gs", "az"]
Field = Literal["date", "ext", "job_id", "lane", "number", "sha256", "task_id"]

LONGEST_VALUE: Final = 100
"""Bytes of a value of free text in a name, after which it is cut."""
LONGEST_PREFIX: Final = 200
LONGEST_NAME: Final = 500
"""Bytes of a name without its prefix and a job's folder, which have 200 and 280. All stores take 1,000: the
limit of S3 and Azure is 1,024."""
LAST_PORT: Final = 65_535
LONGEST_SEGMENT: Final = 240
"""Bytes between two slashes. File systems take 255, and a thumbnail's name is longer than its image's."""

_LONGEST: Final[dict[Field, int]] = {
    "ext": 10,
    "job_id": LONGEST_VALUE,
    "lane": LONGEST_VALUE,
    "number": 10,
    "sha256": 64,
    "task_id": LONGEST_VALUE,
}
_FREE_TEXT: Final = frozenset({"job_id", "lane", "task_id"})
_BUCKETS: Final[dict[str, str]] = {
    "s3": r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]",
    "gs": r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]",
    "az": r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]|\$web|\$root",
}
_SEGMENT: Final = re.compile(r"[A-Za-z0-9=_-]([A-Za-z0-9._=-]*[A-Za-z0-9=_-])?")
_DIRECTIVE: Final = re.compile(r"%[YmdHMSjyGVu]")
"""Only digits come from these, in every locale and on every platform."""
_HOST_AND_PORT: Final = re.compile(
    r"(?:\[(?P<six>[^\]]+)\]|(?P<name>[^:\[\]]+))(?::(?P<port>[1-9][0-9]{0,4}))?"
)
_HOST: Final = re.compile(r"(?!.*\.\.)[a-z0-9]([a-z0-9._-]{0,251}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Place:
    """The place of all copies: a folder of this machine, or a bucket and a prefix of its objects' names."""

    scheme: Scheme
    bucket: str
    """The bucket or container; empty for a folder."""
    prefix: str
    """The absolute path of a folder, or the prefix in the bucket, without slashes around it; may be empty."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a template: text as it is, or a field with its format."""

    text: str = ""
    field: Field | None = None
    spec: str = ""


def place(url: str) -> Place:
    """Return the place that LIMNER_COPY_TO names; raises ValueError, which does not contain the value."""
    scheme, found, rest = url.partition("://")
    if not found or scheme not in {"file", *_BUCKETS}:
        raise ValueError("must begin with file://, s3://, gs:// or az://")
    if "?" in rest or "#" in rest or (scheme != "file" and "@" in rest):
        raise ValueError("must have no credentials, query or fragment")
    if not rest.isprintable() or "\\" in rest or "%" in rest:
        raise ValueError("must be printable, without backslashes and percent signs")
    bucket, _, prefix = rest.partition("/")
    prefix = prefix.removesuffix("/")
    segments = prefix.split("/") if prefix else []
    if {"", ".", ".."} & set(segments):
        raise ValueError("must have no empty segment, and neither . nor ..")
    if scheme == "file":
        if bucket or not prefix:
            raise ValueError("must be the absolute path of a folder, as in file:///srv/images")
        return Place("file", "", f"/{prefix}")
    if not re.fullmatch(_BUCKETS[scheme], bucket):
        raise ValueError(f"must name a {'container' if scheme == 'az' else 'bucket'} after {scheme}://")
    if not all(_SEGMENT.fullmatch(segment) for segment in segments) or len(prefix) > LONGEST_PREFIX:
        raise ValueError(
            f"must have a prefix of at most {LONGEST_PREFIX} letters, digits and . _ = -, no dot at an end"
        )
    return Place(cast("Scheme", scheme), bucket, prefix)


def pieces(template: str) -> list[Piece]:
    """Return the parts of LIMNER_COPY_NAME; raises ValueError, which says which rule it breaks.

    Two jobs never have the same name: values are separated so that a name can be read back.
    """
    found = list(_parsed(template))
    fields = {piece.field for piece in found}
    if not fields & {"job_id", "task_id", "sha256"}:
        raise ValueError("must hold {job_id}, {task_id} or {sha256}")
    if not fields & {"number", "sha256"}:
        raise ValueError("must hold {number}, as a job may have several images")
    if [piece.field or piece.text[-1:] for piece in found[-2:]] != [".", "ext"]:
        raise ValueError("must end with .{ext}")
    segments = _segments(found)
    for segment in segments:
        _check_segment(segment)
    if sum(map(_longest, segments)) + len(segments) > LONGEST_NAME:
        raise ValueError(f"may give names of more than {LONGEST_NAME} bytes")
    return found


def _parsed(template: str) -> Iterator[Piece]:
    try:
        parts = list(Formatter().parse(template))
    except ValueError:
        raise ValueError("has a brace without its other one") from None
    for text, name, spec, conversion in parts:
        if text:
            yield Piece(text)
        if name is None:
            continue
        if name not in {"date", *_LONGEST} or conversion:
            raise ValueError(
                "knows only {date:%Y/%m/%d}, {job_id}, {number}, {ext}, {lane}, {sha256}, {task_id}"
            )
        if name == "date":
            rest = _DIRECTIVE.sub("", spec or "")
            if rest == spec or "%" in rest:
                raise ValueError(
                    "must have a date of %Y %m %d %H %M %S %j %y %G %V %u, as in {date:%Y/%m/%d}"
                )
        elif spec:
            raise ValueError(f"must have no format in {{{name}}}")
        yield Piece("", name, spec or "")


def _segments(found: list[Piece]) -> list[list[Piece]]:
    """Return the parts between slashes; a date may contain slashes as well."""
    segments: list[list[Piece]] = [[]]
    for piece in found:
        first, *others = (piece.spec if piece.field == "date" else piece.text).split("/")
        for number, text in enumerate([first, *others]):
            if number:
                segments.append([])
            if piece.field is None:
                segments[-1] += [Piece(text)] if text else []
            elif piece.field != "date":
                segments[-1].append(piece)
            elif text:
                segments[-1].append(Piece("", "date", text))
    return segments


def _check_segment(segment: list[Piece]) -> None:
    # A digit stands for each value: safe values begin and end with none of the characters that matter here.
    shown = "".join(
        piece.text if piece.field is None else _DIRECTIVE.sub("0", piece.spec) if piece.spec else "0"
        for piece in segment
    )
    if not _SEGMENT.fullmatch(shown):
        raise ValueError(
            "must have segments of fields, letters, digits and . _ = -, no dot at an end, one slash between"
        )
    if ".thumb" in shown:
        raise ValueError("must not contain .thumb, which is in the names of thumbnails")
    if sum(piece.field in _FREE_TEXT for piece in segment) > 1:
        raise ValueError("must have a slash between {job_id}, {lane} and {task_id}")
    for left, right in pairwise(segment):
        if {left.field, right.field} == {"date"}:
            continue
        if _edge(left, -1).isalnum() and _edge(right, 0).isalnum() and {left.field, right.field} != {None}:
            raise ValueError("must have one of / . _ = - between a field and what is beside it")
    if _longest(segment) > LONGEST_SEGMENT:
        raise ValueError(f"may give a segment of more than {LONGEST_SEGMENT} bytes")


def _edge(piece: Piece, at: int) -> str:
    return piece.text[at] if piece.field is None else "0"


def _longest(segment: list[Piece]) -> int:
    return sum(
        _LONGEST[piece.field]
        if piece.field and piece.field != "date"
        else len(piece.text) + 2 * len(piece.spec)
        for piece in segment
    )


def host_names(text: str) -> tuple[str, ...]:
    """Return the hosts of a comma-separated list, in lower case, each with a port or without one.

    Raises ValueError for what is no host.
    """
    hosts = tuple(host for part in text.split(",") if (host := part.strip().lower()))
    if not all(map(_is_host, hosts)):
        raise ValueError("must be names or addresses of hosts, as in sandbox:8080 or [::1], between commas")
    return hosts


def _is_host(text: str) -> bool:
    found = _HOST_AND_PORT.fullmatch(text)
    if not found or int(found["port"] or 1) > LAST_PORT:
        return False
    return _is_ipv6(found["six"]) if found["six"] else bool(_HOST.fullmatch(found["name"]))


def _is_ipv6(address: str) -> bool:
    try:
        ipaddress.IPv6Address(address)
    except ValueError:
        return False
    return "%" not in address


def url_parts(url: str) -> SplitResult:
    """Return the parts of a URL; raises ValueError, also for a port that is none."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # a port that is not a number fails only when it is read
    except ValueError:
        raise ValueError("is not a URL") from None
    return parts


def base_url(url: str) -> str:
    """Return an http or https URL without its last slash; raises ValueError for more than host and path."""
    if not url:
        return url
    parts = url_parts(url)
    if parts.scheme not in {"http", "https"}:
        raise ValueError("must begin with http:// or https://")
    if "?" in url or "#" in url or "@" in parts.netloc:
        raise ValueError("must have no credentials, query or fragment")
    if not parts.hostname:
        raise ValueError("names no host")
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url or "/.." in url:
        raise ValueError("must be printable ASCII without spaces, backslashes and ..")
    return url.rstrip("/")


def proxy_url(url: str) -> str:
    """Return a proxy's URL, http://host:port; raises ValueError, which never contains it."""
    if not url:
        return url
    parts = url_parts(url)
    if parts.scheme != "http" or not parts.hostname or parts.port is None or "@" in parts.netloc:
        raise ValueError("must be http://HOST:PORT, without a login")
    if parts.path.strip("/") or "?" in url or "#" in url:
        raise ValueError("must have nothing after the port")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("must be printable ASCII without spaces")
    return url.rstrip("/")
