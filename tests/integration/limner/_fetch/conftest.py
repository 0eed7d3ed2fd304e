"""Fixtures of fetches: an authority, and the connections that leave this process."""

import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.limner._fetch.certificates import Authority


class Leaving:
    """The addresses to which sockets of this thread connect, and the names that the system resolves."""

    def __init__(self) -> None:
        self.addresses: list[Any] = []
        self.names: list[Any] = []
        self.watched: int | None = None

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.watched is None:
            return
        if event == "socket.getaddrinfo":
            self.names.append(arguments[0])
        elif event in ("socket.connect", "socket.sendto", "socket.sendmsg") and self._is_watched():
            self.addresses.append(arguments[1])

    def _is_watched(self) -> bool:
        return threading.get_ident() == self.watched


@pytest.fixture(scope="session")
def _hook() -> Leaving:
    """A hook of the interpreter, which sees each connection before it is made. It cannot be removed."""
    leaving = Leaving()
    sys.addaudithook(leaving)
    return leaving


@pytest.fixture
def leaving(_hook: Leaving) -> Iterator[Leaving]:
    _hook.addresses, _hook.names, _hook.watched = [], [], threading.get_ident()
    yield _hook
    _hook.watched = None


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))
