"""Fetches from a server of bare sockets, and scripts for it."""

from typing import Final

import pytest

from limner._fetch import Fetcher, FetchError, Limits
from tests.integration.limner._fetch.serving import Script
from tests.integration.provider.raw import Conversation, RawServer

HOST: Final = "127.0.0.1"
QUICK: Final = Limits(seconds=2, idle_seconds=0.3)
ENDLESS: Final = b"a" * 65536


def fetch(url: str, limits: Limits = QUICK) -> bytes:
    with Fetcher(limits, plain_hosts=[HOST]).open(url) as download:
        return b"".join(download.pieces())


def fetch_from(script: Script, limits: Limits = QUICK) -> bytes:
    with RawServer(script) as server:
        return fetch(server.url, limits)


def error_from(script: Script, limits: Limits = QUICK) -> FetchError:
    with pytest.raises(FetchError) as caught:
        fetch_from(script, limits)
    return caught.value


def sends(*parts: bytes) -> Script:
    """A script that sends these parts, and closes the connection."""

    def script(conversation: Conversation) -> None:
        conversation.receive()
        for part in parts:
            conversation.send(part)

    return script


def drips(head: bytes, drop: bytes) -> Script:
    """A script that sends its drop again and again, each a moment after the last."""

    def script(conversation: Conversation) -> None:
        conversation.receive()
        conversation.send(head)
        while not conversation.done.wait(0.02):
            conversation.send(drop)

    return script
