"""Result files and their download links (contract 4). An image is drawn when it is fetched."""

import asyncio
import functools
import re
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from sandbox.kie.api.envelope import Envelope
from sandbox.kie.faults.connections import Broken, gateway_page
from sandbox.kie.faults.faults import Fault
from sandbox.kie.faults.refusals import UNAUTHORIZED, Refusal
from sandbox.kie.state import ProviderState
from sandbox.kie.tasks.images import Picture, draw
from sandbox.kie.tasks.ledger import KieTask, State

__all__ = ["FilesApi"]

LINK_SECONDS: Final = 1200.0
_FOREIGN: Final = Refusal(422, "url is wrong")
_NAME: Final = re.compile(r"(?P<task_id>\w+)_(?P<index>\d)\.png")
_FAULTS: Final = (Fault.FILE_404, Fault.FILE_HTML, Fault.FILE_TRUNCATED)

# A page that shows a result fetches it more than once; 32 images are about 10 MB.
_drawn = functools.lru_cache(maxsize=32)(draw)


class FilesApi:
    """The endpoints for files. Like the real host, they need no API key and refuse a missing User-Agent."""

    def __init__(self, state: ProviderState) -> None:
        self._state = state
        self._envelope = Envelope(state.options)

    async def file(self, request: Request) -> Response:
        """``GET /files/{task id}_{index}.png``: an image, until the file or the link (``until``) expires."""
        state = self._state
        if not request.headers.get("user-agent"):
            return self._counted(PlainTextResponse("Forbidden", 403))
        picture = self._picture(request.path_params["name"])
        faults = state.faults_of(picture.prompt if picture else None)
        strike = faults.first(_FAULTS, state.randomness(request.url.path))
        fault = strike.fault if strike else None
        if (
            picture is None
            or fault is Fault.FILE_404
            or self._link_expired(request.query_params.get("until"))
        ):
            return self._counted(PlainTextResponse("Not Found", 404))
        if strike and fault is Fault.FILE_HTML:
            return self._counted(gateway_page(strike.variant))
        png = await asyncio.to_thread(_drawn, picture)
        if fault is Fault.FILE_TRUNCATED:
            state.ledger.count("files", fault)
            return Broken(png[: len(png) // 2], reset=False)
        return self._counted(Response(png, media_type="image/png"))

    async def download_url(self, request: Request) -> Response:
        """``POST /api/v1/common/download-url``: a link for 20 minutes to one of the provider's own files."""
        state = self._state
        rng = state.randomness("download-url")
        caller = state.accounts.caller(request.headers.get("authorization"))
        if caller is None or not caller.allowed:
            return self._envelope.refusal(UNAUTHORIZED, rng)
        try:
            body = await request.json()
            path = urlsplit(body["url"]).path
        except (ValueError, TypeError, KeyError, AttributeError):
            path = ""
        name = path.removeprefix("/files/")
        if self._picture(name) is None:
            return self._envelope.refusal(_FOREIGN, rng)
        until = int((state.now() + LINK_SECONDS / state.options.speed) * 1000)
        return self._envelope.ok(f"{state.base_url}/files/{name}?until={until}")

    def _picture(self, name: str) -> Picture | None:
        match = _NAME.fullmatch(name)
        task = self._state.ledger.tasks.get(match["task_id"]) if match else None
        if match is None or task is None or not self._available(task) or int(match["index"]) >= task.images:
            return None
        return Picture(
            prompt=task.input["prompt"],
            image_size=task.input.get("image_size") or "square_hd",
            rendering_speed=task.input.get("rendering_speed") or "BALANCED",
            style=task.input.get("style") or "AUTO",
            seed=task.input.get("seed"),
            number=int(match["index"]) + 1,
            of=task.images,
        )

    def _available(self, task: KieTask) -> bool:
        now_ms = self._state.now() * 1000
        lifetime_ms = self._state.options.file_seconds / self._state.options.speed * 1000
        return task.state(now_ms) is State.SUCCESS and now_ms < task.finish_ms + lifetime_ms

    def _link_expired(self, until: str | None) -> bool:
        return until is not None and not (until.isdigit() and self._state.now() * 1000 < int(until))

    def _counted(self, response: Response) -> Response:
        self._state.ledger.count("files", str(response.status_code))
        return response
