"""Result files (contract 4). An image is drawn when it is fetched."""

import asyncio
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from sandbox.kie.api.available import Available, available
from sandbox.kie.api.broken_files import BROKEN_FILES, FileCall
from sandbox.kie.api.waiting import client_left_within
from sandbox.kie.faults.connections import Broken
from sandbox.kie.faults.faults import Fault
from sandbox.kie.faults.files import EXPIRED, REFUSED_AGENTS
from sandbox.kie.faults.switches import Source, Strike
from sandbox.kie.state import ProviderState
from sandbox.kie.tasks.result_files import ResultFile, picture_of, result_file

__all__ = ["FilesApi"]

_BROWSER: Final = "mozilla/"
_FAULTS: Final = tuple(BROKEN_FILES)


class FilesApi:
    """The file host. Like the real one, it needs no API key, and refuses the User-Agents of scripts."""

    def __init__(self, state: ProviderState) -> None:
        self._state = state

    async def file(self, request: Request) -> Response:
        """``GET /files/{task id}_{index}.png``: an image, until the file or the link (``until``) expires."""
        outcome, response = await self._answer(request)
        self._state.ledger.count("files", outcome)
        return response

    async def moved(self, request: Request) -> Response:
        """``GET /moved/files/…``: the same file without any fault, as the target of redirects."""
        found = available(self._state, request.path_params["name"])
        if found is None:
            outcome, response = _plain(404)
        else:
            outcome, response = await self._whole(found)
        self._state.ledger.count("moved", outcome)
        return response

    async def _answer(self, request: Request) -> tuple[str, Response]:
        """The outcome as it is counted, and the answer."""
        state = self._state
        agent = request.headers.get("user-agent", "").lower()
        if not agent or agent.startswith(REFUSED_AGENTS):
            return _plain(403)
        found = available(state, request.path_params["name"])
        if found is None:
            return _plain(404)
        fetches = state.files.fetched(found.path)
        until = request.query_params.get("until")
        if self._link_expired(until):
            return _plain(404)
        faults, rng = state.faults_of(found.task.input["prompt"]), state.randomness(request.url.path)
        if until is None and (refused := self._expired(found, faults)):
            return refused
        if (strike := faults.first((Fault.FILE_403,), rng)) and _is_refused(agent, strike):
            return strike.fault, _plain(403)[1]
        if strike := faults.first(_FAULTS, rng):
            return await self._broken(request, found, strike, fetches)
        return await self._whole(found)

    def _expired(self, found: Available, faults: Source) -> tuple[str, Response] | None:
        # A link does not come to life again, so each fetch of it has the same fate.
        strike = faults.first((Fault.FILE_EXPIRED,), self._state.lasting_randomness(found.path))
        return (strike.fault, _plain(EXPIRED[strike.variant])[1]) if strike else None

    async def _broken(
        self, request: Request, found: Available, strike: Strike, fetches: int
    ) -> tuple[str, Response]:
        state = self._state
        file = await self._drawn(found)
        if strike.fault is Fault.FILE_SLOW and strike.variant == "head":
            left = await client_left_within(strike.seconds, request)
            return strike.fault, Broken(reset=False) if left else _as_it_is(file)
        if strike.fault is Fault.FILE_CHANGED:
            picture = picture_of(found.task, found.index, turn=fetches)
            file = await asyncio.to_thread(result_file, found.path, picture, state.options.file_size)
            state.files.changed(found.path, file)
            return strike.fault, _as_it_is(file)
        call = FileCall(file, strike, state.base_url, found.path)
        return strike.fault, await asyncio.to_thread(BROKEN_FILES[strike.fault], call)

    async def _whole(self, found: Available) -> tuple[str, Response]:
        file = await self._drawn(found)
        self._state.files.served(found.path)
        return "200", _as_it_is(file)

    async def _drawn(self, found: Available) -> ResultFile:
        picture, size = picture_of(found.task, found.index), self._state.options.file_size
        file = await asyncio.to_thread(result_file, found.path, picture, size)
        self._state.files.drawn(found.path, file)
        return file

    def _link_expired(self, until: str | None) -> bool:
        return until is not None and not (until.isdigit() and self._state.now() * 1000 < int(until))


def _is_refused(agent: str, strike: Strike) -> bool:
    return strike.variant == "always" or not agent.startswith(_BROWSER)


def _as_it_is(file: ResultFile) -> Response:
    return Response(file.data, media_type=file.media_type)


def _plain(status: int) -> tuple[str, Response]:
    text = {403: "Forbidden", 404: "Not Found", 410: "Gone"}[status]
    return str(status), PlainTextResponse(text, status)
