"""An ASGI application that is called without a socket."""

import asyncio
from typing import Any

import httpx
from starlette.types import ASGIApp

__all__ = ["BASE", "Caller"]

BASE = "http://app.test"


class Caller:
    """Makes one request after the other. No lifespan is run."""

    def __init__(self, app: ASGIApp) -> None:
        self._transport = httpx.ASGITransport(app)

    def get(self, path: str, **options: Any) -> httpx.Response:
        return asyncio.run(self._request("GET", path, options))

    def post(self, path: str, **options: Any) -> httpx.Response:
        return asyncio.run(self._request("POST", path, options))

    async def _request(self, method: str, path: str, options: dict[str, Any]) -> httpx.Response:
        async with httpx.AsyncClient(transport=self._transport, base_url=BASE) as client:
            return await client.request(method, path, **options)
