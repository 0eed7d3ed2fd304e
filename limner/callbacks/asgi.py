"""The receiver as a route of a Starlette or FastAPI application. This module needs Starlette."""

from collections.abc import Callable
from functools import partial
from typing import Final

import anyio
from anyio import to_thread
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from limner.callbacks.receiver import AGAIN, Receiver, Reply
from limner.callbacks.refusal import Refusal

__all__ = ["BODY_BYTES", "BODY_SECONDS", "PATH", "route"]

PATH: Final = "/callbacks/{job_id:path}/{token}"
"""A job's id may hold slashes, since Celery's producers choose their own; a token has none."""
BODY_BYTES: Final = 65_536
"""A callback holds the request twice, prompts of 5,000 characters included, and is far shorter."""
BODY_SECONDS: Final = 5.0
"""For the whole body."""
QUEUE_SECONDS: Final = 5.0
"""The longest wait of a callback for a thread; the provider gives up after 15 s (contract 3.3)."""
THREADS: Final = 16
"""Threads of the receiver's own, so that a Redis that hangs takes none from the rest of the application."""


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

    async def post(self, request: Request) -> Response:
        job_id, token = request.path_params["job_id"], request.path_params["token"]
        body = await _body(request)
        if isinstance(body, Refusal):
            reply = await self._in_thread(partial(self._receiver.refuse, job_id, body))
            # What is left of the body is not waited for.
            headers = {"Connection": "close"}
        else:
            reply = await self._in_thread(
                partial(self._receiver.handle, job_id, token, request.headers, body)
            )
            headers = {}
        return Response(reply.body, reply.status, headers, media_type="application/json")

    async def _in_thread(self, work: Callable[[], Reply]) -> Reply:
        # Only the wait for a thread is cut short: work that has begun is bounded by the time-out of Redis.
        with anyio.move_on_after(QUEUE_SECONDS):
            return await to_thread.run_sync(work, limiter=self._threads)
        return AGAIN


async def _body(request: Request) -> bytes | Refusal:
    if not _fits(request.headers.get("content-length", "0")):
        return Refusal.OVERSIZED
    body = bytearray()
    with anyio.move_on_after(BODY_SECONDS):
        try:
            async for chunk in request.stream():
                body += chunk
                if len(body) > BODY_BYTES:
                    return Refusal.OVERSIZED
        except ClientDisconnect:
            return Refusal.MALFORMED
        return bytes(body)
    return Refusal.SLOW


def _fits(length: str) -> bool:
    try:
        return int(length) <= BODY_BYTES
    except ValueError:
        return False
