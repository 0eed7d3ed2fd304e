"""Fresh links to result files (contract 4)."""

import random
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from sandbox.kie.accounts.accounts import Caller
from sandbox.kie.api.available import Available, available
from sandbox.kie.api.envelope import Envelope
from sandbox.kie.api.waiting import FOREVER, client_left_within
from sandbox.kie.faults.connections import Broken, gateway_page
from sandbox.kie.faults.faults import Fault
from sandbox.kie.faults.files import LINKS
from sandbox.kie.faults.refusals import SERVER_ERROR, TOO_OFTEN, UNAUTHORIZED, Refusal
from sandbox.kie.state import ProviderState

__all__ = ["LinksApi"]

LINK_SECONDS: Final = 1200.0
_ENDPOINT: Final = "download-url"
_FOREIGN: Final = Refusal(422, "url is wrong")
_REFUSALS: Final = {refusal.code: refusal for refusal in (UNAUTHORIZED, TOO_OFTEN, SERVER_ERROR, _FOREIGN)}


class LinksApi:
    """The endpoint of links. It needs a key, and no limit applies."""

    def __init__(self, state: ProviderState) -> None:
        self._state = state
        self._envelope = Envelope(state.options)

    async def download_url(self, request: Request) -> Response:
        """``POST /api/v1/common/download-url``: a link for 20 minutes to a file of the caller's account."""
        state = self._state
        rng = state.randomness(_ENDPOINT)
        caller = state.accounts.caller(request.headers.get("authorization"))
        if caller is None or not caller.allowed:
            return self._refused(UNAUTHORIZED, rng)
        found = await self._own_file(request, caller)
        if found is None:
            return self._refused(_FOREIGN, rng)
        faults = state.faults_of(found.task.input["prompt"])
        if strike := faults.first((Fault.LINK_ODD,), rng):
            state.ledger.count(_ENDPOINT, strike.fault)
            return await self._odd(request, strike.variant, rng)
        until = int((state.now() + LINK_SECONDS / state.options.speed) * 1000)
        state.ledger.count(_ENDPOINT, "200")
        return self._envelope.ok(f"{state.base_url}{found.path}?until={until}")

    async def _own_file(self, request: Request, caller: Caller) -> Available | None:
        try:
            url = (await request.json())["url"]
            host, path = urlsplit(url).netloc, urlsplit(url).path
        except (ValueError, TypeError, KeyError, AttributeError):
            return None
        # A relative URL in a record was resolved by the caller, against the address that it speaks to.
        if host not in (urlsplit(self._state.base_url).netloc, request.url.netloc):
            return None
        found = available(self._state, path.removeprefix("/files/"))
        return found if found and found.task.account == caller.account.name else None

    async def _odd(self, request: Request, variant: str, rng: random.Random) -> Response:
        kind, value = LINKS[variant]
        if kind == "hang":
            await client_left_within(FOREVER, request)
        if kind == "page":
            return gateway_page(value)
        if kind == "code":
            return self._envelope.refusal(_REFUSALS[value], rng)
        return self._envelope.ok(value) if kind == "data" else Broken(reset=True)

    def _refused(self, refusal: Refusal, rng: random.Random) -> Response:
        self._state.ledger.count(_ENDPOINT, str(refusal.code))
        return self._envelope.refusal(refusal, rng)
