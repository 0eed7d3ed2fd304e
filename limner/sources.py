"""The places that an image's bytes come from: a file of the fleet's storage, a link, or an object in a store.

The address is part of a result, so it is not trusted: it decides from where bytes are read and nothing else.
"""

import contextlib
import errno
import io
import os
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Self
from urllib.parse import SplitResult, unquote, urlsplit

from limner._fetch import Fetcher, FetchError, FetchFault, Limits
from limner.configuration import checked_megabytes, checked_seconds
from limner.errors import ConfigurationError

PIECE: Final = 1 << 18
"""Bytes read at once."""
_MAY_PASS: Final = frozenset(
    {FetchFault.UNREACHABLE, FetchFault.TOO_SLOW, FetchFault.CUT_OFF, FetchFault.MALFORMED}
)
_LONGEST: Final = 300
"""Characters of an address in a message."""
_SETTINGS: Final = {
    FetchFault.FORBIDDEN: "LIMNER_COPY_PLAIN_HOSTS",
    FetchFault.TOO_LARGE: "LIMNER_COPY_MAX_MB",
    FetchFault.TOO_SLOW: "LIMNER_COPY_SECONDS",
}
"""The settings that would allow it."""
_BUSY: Final = frozenset({408, 425, 429})
_SERVER_FAULTS: Final = 500


class Unusable(Exception):
    """A source does not have the image, or cannot be read; the message names the source and says why."""

    def __init__(self, reason: str, *, retryable: bool = False) -> None:
        super().__init__(reason)
        self.retryable = retryable
        """True if the same source may have it later."""


@dataclass(frozen=True, slots=True)
class Source:
    """An open source of bytes. Its pieces can be read once; reading raises Unusable."""

    length: int | None
    """In bytes, as the source itself says."""
    pieces: Iterable[bytes]


_Opener = Callable[[str, SplitResult], contextlib.AbstractContextManager[Source]]


class Sources:
    """Opens the addresses of images. Thread-safe; holds no connection.

    ``plain_hosts`` may speak http and live at private addresses. ``endpoint`` and ``region`` are those of a
    store that is not the cloud's own. Raises ConfigurationError for a host or a proxy that can be none.
    """

    def __init__(
        self,
        limits: Limits,
        *,
        plain_hosts: Collection[str] = (),
        proxy: str | None = None,
        endpoint: str = "",
        region: str = "",
    ) -> None:
        self.limits = limits
        try:
            self._fetcher = Fetcher(limits, plain_hosts=plain_hosts, proxy=proxy)
        except ValueError as error:
            raise ConfigurationError(f"LIMNER_COPY_PLAIN_HOSTS or LIMNER_COPY_PROXY: {error}") from None
        self._endpoint, self._region = endpoint, region
        self._links: Mapping[str, _Opener] = dict.fromkeys(("http", "https"), self._fetched)
        self._storage: Mapping[str, _Opener] = {
            **self._links,
            **dict.fromkeys(("s3", "gs", "az"), self._stored),
            "file": _local,
        }

    @classmethod
    def from_env(cls, *, plain_hosts: Collection[str] = ()) -> Self:
        """With the fleet's settings for copies, where the environment has them.

        Raises ConfigurationError, which names the setting.
        """
        if isinstance(plain_hosts, str):
            raise ConfigurationError("plain_hosts: must be a list of hosts, not a text")
        hosts = os.environ.get("LIMNER_COPY_PLAIN_HOSTS", "").split(",")
        return cls(
            Limits(
                max_bytes=checked_megabytes(_setting("LIMNER_COPY_MAX_MB", "64"), "LIMNER_COPY_MAX_MB"),
                seconds=checked_seconds(_setting("LIMNER_COPY_SECONDS", "60"), "LIMNER_COPY_SECONDS"),
            ),
            plain_hosts=[*plain_hosts, *(host.strip() for host in hosts if host.strip())],
            proxy=_setting("LIMNER_COPY_PROXY") or None,
            endpoint=_setting("LIMNER_COPY_ENDPOINT"),
            region=_setting("LIMNER_COPY_REGION"),
        )

    def open(self, url: str, *, stored: bool) -> contextlib.AbstractContextManager[Source]:
        """A source of this address's bytes; raises Unusable, at once or as the source is entered.

        An address of the fleet's own storage, ``stored``, may be a file or an object. A link of the provider
        may not, as nothing in a result says which bytes are to be expected there.
        """
        openers = self._storage if stored else self._links
        try:
            parts = urlsplit(url)
        except ValueError:
            raise Unusable(f"{shown(url)}: not an address") from None
        if parts.scheme not in openers:
            raise Unusable(f"{shown(url)}: not an address with {', '.join(openers)}")
        return openers[parts.scheme](url, parts)

    @contextlib.contextmanager
    def _fetched(self, url: str, _: SplitResult) -> Iterator[Source]:
        try:
            with self._fetcher.open(url) as download:
                yield Source(download.length, download.pieces())
        except FetchError as error:
            setting = _SETTINGS.get(error.fault)
            told = f"{error} ({setting})" if setting else str(error)
            raise Unusable(told, retryable=_may_pass(error)) from error

    @contextlib.contextmanager
    def _stored(self, url: str, parts: SplitResult) -> Iterator[Source]:
        try:
            import obstore
            from obstore.exceptions import BaseError
            from obstore.store import AzureStore, GCSStore, S3Store
        except ModuleNotFoundError:
            raise Unusable(
                f"{shown(url)}: install the package obstore to read it; or set LIMNER_COPY_URL for the "
                "fleet, the base under which consumers reach the images"
            ) from None
        name = unquote(parts.path).lstrip("/")
        if not parts.netloc or not name:
            raise Unusable(f"{shown(url)}: names no object")
        bound = timedelta(seconds=self.limits.seconds)
        store_class, endpoint = {
            "s3": (S3Store, "endpoint"),
            "gs": (GCSStore, "base_url"),
            "az": (AzureStore, "endpoint"),
        }[parts.scheme]
        config = {endpoint: self._endpoint} if self._endpoint else {}
        if self._region and parts.scheme == "s3":
            config["region"] = self._region
        make: Any = store_class
        try:
            store = make(
                parts.netloc,
                config=config,
                client_options={"timeout": bound, "allow_http": self._endpoint.startswith("http://")},
                retry_config={"max_retries": 2, "retry_timeout": bound},
            )
            found = obstore.get(store, name)
        except (BaseError, OSError) as error:
            raise _unreadable(url, error) from error
        pieces = map(bytes, found.stream(min_chunk_size=PIECE))
        yield Source(found.meta["size"], _reading(url, pieces, (OSError, BaseError)))


@contextlib.contextmanager
def _local(url: str, parts: SplitResult) -> Iterator[Source]:
    if parts.netloc not in ("", "localhost"):
        raise Unusable(f"{shown(url)}: a file of another machine")
    try:
        file = open_regular(unquote(parts.path))
    except FileNotFoundError:
        raise Unusable(
            f"{shown(url)}: there is no such file on this machine; with LIMNER_COPY_URL, the fleet gives "
            "its copies addresses that lead to them from others"
        ) from None
    except (OSError, ValueError) as error:
        raise Unusable(f"{shown(url)}: {_first_line(error)}") from error
    with file:
        pieces = iter(lambda: file.read(PIECE), b"")
        yield Source(os.fstat(file.fileno()).st_size, _reading(url, pieces, (OSError,)))


def open_regular(path: str | os.PathLike[str]) -> io.FileIO:
    """A file for reading; raises OSError, also for what is no regular file, such as a symbolic link."""
    # Without O_NONBLOCK, a named pipe would hold the thread up for as long as nobody writes to it.
    number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        return io.FileIO(number)
    except BaseException:
        os.close(number)
        raise


def _reading(url: str, pieces: Iterable[bytes], faults: tuple[type[Exception], ...]) -> Iterator[bytes]:
    """The same pieces; a fault of the source is told from one of the folder that they are written to."""
    try:
        yield from pieces
    except faults as error:
        raise _unreadable(url, error) from error


def _unreadable(url: str, error: Exception) -> Unusable:
    return Unusable(f"{shown(url)}: {_first_line(error)}", retryable=True)


def _may_pass(error: FetchError) -> bool:
    if error.fault is FetchFault.STATUS:
        return error.status in _BUSY or (error.status or 0) >= _SERVER_FAULTS
    return error.fault in _MAY_PASS


def _setting(name: str, default: str = "") -> str:
    return os.environ.get(name, "").strip() or default


def _first_line(error: Exception) -> str:
    told = error.strerror if isinstance(error, OSError) else None
    # A store's own answer follows, which may repeat the request with its signature.
    line = (told or str(error)).strip().partition("\n")[0].partition("<")[0]
    return line.rstrip(": ") or type(error).__name__


def shown(url: str) -> str:
    """An address in a message, without what may be a signature or a password."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an address"
    text = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"[:_LONGEST]
    return "".join(character if character.isprintable() else "?" for character in text)
