"""The stand-in's own API for tests and people. It needs no API key."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.kie.accounts.accounts import InvalidChange
from sandbox.kie.faults.faults import InvalidFault
from sandbox.kie.state import ProviderState

__all__ = ["AdminApi"]


class AdminApi:
    """The endpoints below ``/sandbox``."""

    def __init__(self, state: ProviderState) -> None:
        self._state = state

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
            self._state.faults.update(await request.json())
        except (InvalidFault, ValueError, AttributeError) as error:
            return JSONResponse({"error": str(error)}, 400)
        return JSONResponse(self._state.faults.to_json())

    async def calls(self, request: Request) -> Response:
        """``GET /sandbox/calls?after=N``: one page of the calls that arrived after number N."""
        after = request.query_params.get("after", "0")
        if not (after.isascii() and after.isdigit()):
            return JSONResponse({"error": "after: a number of 0 or more is wanted"}, 400)
        return JSONResponse(self._state.calls.page(int(after)))

    async def account(self, request: Request) -> Response:
        """``POST /sandbox/account``: top up, revoke or restore a key; the answer has the account's state."""
        try:
            changed = self._state.accounts.change(await request.json(), self._state.now())
        except (InvalidChange, ValueError) as error:
            return JSONResponse({"error": str(error)}, 400)
        return JSONResponse(changed)

    async def reset(self, _request: Request) -> Response:
        """``POST /sandbox/reset``: forget everything; restore the credits, keys and faults of the start."""
        await self._state.reset()
        return JSONResponse({"reset": True})

    async def healthz(self, _request: Request) -> Response:
        """``GET /sandbox/healthz``: the health check."""
        return JSONResponse({"ok": True, "created": len(self._state.ledger.tasks), "seed": self._state.seed})
