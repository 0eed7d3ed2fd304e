"""Waiting as long as the client does."""

import asyncio

from starlette.requests import Request
from starlette.types import Message

from sandbox.kie.api.waiting import FOREVER, client_left_within


def left(seconds: float, *, leaves: bool) -> bool:
    messages: list[Message] = [{"type": "http.request", "body": b""}]

    async def receive() -> Message:
        if messages:
            return messages.pop()
        if not leaves:
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    return asyncio.run(client_left_within(seconds, Request({"type": "http"}, receive)))


def test_a_client_that_stays_is_answered_after_the_time() -> None:
    assert not left(0.01, leaves=False)


def test_a_client_that_leaves_ends_the_longest_wait() -> None:
    assert left(FOREVER, leaves=True)
