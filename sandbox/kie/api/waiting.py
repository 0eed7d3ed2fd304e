"""Waiting before an answer, as long as the client waits for it."""

import asyncio
from typing import Final

from starlette.requests import Request

__all__ = ["FOREVER", "client_left_within"]

FOREVER: Final = float("inf")


async def client_left_within(seconds: float, request: Request) -> bool:
    """Wait for ``seconds``, or until the client ends the connection; True for the latter."""
    await request.body()  # after the whole request, only a disconnect can arrive
    try:
        message = await asyncio.wait_for(request.receive(), None if seconds == FOREVER else seconds)
    except TimeoutError:
        return False
    return bool(message["type"] == "http.disconnect")
