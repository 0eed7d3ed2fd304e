"""The stand-in's own API for tests and people. It needs no API key."""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.kie.accounts.accounts import InvalidChange
from sandbox.kie.door import Door
from sandbox.kie.faults.faults import Fault
from sandbox.kie.faults.rules import InvalidFault
from sandbox.kie.faults.variants import variant_of
from sandbox.kie.state import ProviderState

__all__ = ["AdminApi"]


class AdminApi:
    """The endpoints below ``/sandbox``."""

    def __init__(self, state: ProviderState, door: Door) -> None:
        self._state = state
        self._door = door

    async def ledger(self, request: Request) -> Response:
        """``GET /sandbox/ledger``: the summary, with ``tasks`` unless ``summary=1``.

        ``prompt=…`` selects the tasks with exactly that prompt.
        """
        answer = self._state.summary()
        if request.query_params.get("summary") != "1":
            prompt = request.query_params.get("prompt")
            answer["tasks"] = self._state.ledger.rows(self._state.now() * 1000, prompt=prompt)
        return JSONResponse(answer)

    async def faults(self, request: Request) -> Response:
        """``POST /sandbox/faults``: change the named faults; the answer has all active ones."""
        try:
            changes = await request.json()
            self._state.faults.update(changes)
        except (InvalidFault, ValueError, AttributeError) as error:
            return JSONResponse({"error": str(error)}, 400)
        active = self._state.faults.to_json()
        if Fault.UNREACHABLE in changes:
            await self._swing(active.get(Fault.UNREACHABLE), request)
        return JSONResponse(active)

    async def calls(self, request: Request) -> Response:
        """``GET /sandbox/calls?after=N``: one page of the calls that arrived after number N."""
        after = _after(request)
        return _bad_after() if after is None else JSONResponse(self._state.calls.page(after))

    async def files(self, request: Request) -> Response:
        """``GET /sandbox/files?after=N``: one page of the files of the tasks after the first N."""
        after = _after(request)
        if after is None:
            return _bad_after()
        state = self._state
        return JSONResponse(state.files.page(state.ledger.tasks.values(), after, state.now() * 1000))

    async def account(self, request: Request) -> Response:
        """``POST /sandbox/account``: top up, revoke or restore a key; the answer has the account's state."""
        try:
            changed = self._state.accounts.change(await request.json(), self._state.now())
        except (InvalidChange, ValueError) as error:
            return JSONResponse({"error": str(error)}, 400)
        return JSONResponse(changed)

    async def reset(self, _request: Request) -> Response:
        """``POST /sandbox/reset``: forget everything; restore the credits, keys and faults of the start."""
        await self._door.open()
        await self._state.reset()
        return JSONResponse({"reset": True})

    async def healthz(self, _request: Request) -> Response:
        """``GET /sandbox/healthz``: the health check."""
        return JSONResponse({"ok": True, "created": len(self._state.ledger.tasks), "seed": self._state.seed})

    async def _swing(self, rule: dict[str, Any] | None, request: Request) -> None:
        if rule is None:
            await self._door.open()
        else:
            # The connection of the change stays open, so that its caller learns that it was made.
            kept = request.scope.get("state", {}).get("transport")
            variant = variant_of(Fault.UNREACHABLE, rule["variant"])
            await self._door.shut(rule["seconds"], variant, kept)


def _after(request: Request) -> int | None:
    after = request.query_params.get("after", "0")
    return int(after) if after.isascii() and after.isdigit() else None


def _bad_after() -> Response:
    return JSONResponse({"error": "after: a number of 0 or more is wanted"}, 400)
