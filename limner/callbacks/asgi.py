"""The receiver as a route of a Starlette or FastAPI application. This module needs Starlette."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import Final, TypeVar

import anyio
from anyio import to_thread
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from limner.callbacks.receiver import AGAIN, LONG_BODY, Receiver
from limner.callbacks.refusal import Refusal

__all__ = ["BODY_BYTES", "BODY_SECONDS", "PATH", "route"]

PATH: Final = "/callbacks/{job_id:path}/{token}"
"""A job's id may hold slashes, since Celery's producers choose their own; a token has none."""
BODY_BYTES: Final = 1_048_576
"""Bytes of a body that are read. A callback quotes the request within up to three layers of JSON, so two
prompts of 5,000 Chinese characters make 85 KB and more of it (contract 10)."""
LONG_BODIES: Final = 16
"""Bodies of more than LONG_BODY bytes in memory at a time; only a right token gets one of these places."""
MOST_READ: Final = 16 * BODY_BYTES
"""Bytes of a body that are taken from the connection in all, so that its sender can read the answer."""
BODY_SECONDS: Final = 5.0
"""For the whole body."""
QUEUE_SECONDS: Final = 5.0
"""The longest wait of a callback for a thread; the provider gives up after 15 s (contract 3.3)."""
THREADS: Final = 16
"""Threads of the receiver's own, so that a Redis that hangs takes none from the rest of the application."""

Answer = TypeVar("Answer")


def route(receiver: Receiver, path: str = PATH) -> Route:
    """The route that takes callbacks; ``path`` must have the parameters ``job_id`` and ``token``.

    Raises ValueError for a path without them, or without "/callbacks/" before them, by which
    :class:`~limner.callbacks.HideToken` knows what to hide.
    """
    if "/callbacks/{job_id" not in path:
        raise ValueError(f"path: {path!r} must have /callbacks/ before the job's id, as {PATH!r} has")
    made = Route(path, _Endpoint(receiver).post, methods=["POST"], name="limner_callback")
    if made.param_convertors.keys() != {"job_id", "token"}:
        raise ValueError(f"path: {path!r} must have the parameters job_id and token, as {PATH!r} has")
    return made


class _Endpoint:
    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._threads = anyio.CapacityLimiter(THREADS)
        self._long_bodies = anyio.CapacityLimiter(LONG_BODIES)

    async def post(self, request: Request) -> Response:
        job_id, token = request.path_params["job_id"], request.path_params["token"]
        async with AsyncExitStack() as place:

            async def may_be_long() -> bool:
                if not await self._in_thread(partial(self._receiver.expects, job_id, token), False):
                    return False
                await place.enter_async_context(self._long_bodies)
                return True

            body, cut = await _body(request, may_be_long)
            work = partial(self._receiver.handle, job_id, token, request.headers, body, cut=cut)
            reply = await self._in_thread(work, AGAIN)
        # What is left of the body is not waited for.
        headers = {"Connection": "close"} if cut else {}
        if reply.retry_after is not None:
            headers["Retry-After"] = str(reply.retry_after)
        return Response(reply.body, reply.status, headers, media_type="application/json")

    async def _in_thread(self, work: Callable[[], Answer], otherwise: Answer) -> Answer:
        # Only the wait for a thread is cut short: work that has begun is bounded by the time-out of Redis.
        with anyio.move_on_after(QUEUE_SECONDS):
            return await to_thread.run_sync(work, limiter=self._threads)
        return otherwise


async def _body(request: Request, may_be_long: Callable[[], Awaitable[bool]]) -> tuple[bytes, Refusal | None]:
    """The body, or its beginning with the reason for which the rest was not read."""
    body, total, limit = bytearray(), 0, LONG_BODY
    with anyio.move_on_after(BODY_SECONDS):
        try:
            async for chunk in request.stream():
                total += len(chunk)
                if total > limit == LONG_BODY and await may_be_long():
                    limit = BODY_BYTES
                body += chunk[: limit - len(body)]
                if total > limit == LONG_BODY or total > MOST_READ:
                    break
        except ClientDisconnect:
            return bytes(body), Refusal.MALFORMED
        return bytes(body), Refusal.OVERSIZED if total > limit else None
    return bytes(body), Refusal.OVERSIZED if total > BODY_BYTES else Refusal.SLOW
