"""The balance of an account's credits (contract 4)."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from sandbox.kie.api.envelope import Envelope
from sandbox.kie.api.waiting import FOREVER, client_left_within
from sandbox.kie.faults.balances import BALANCES
from sandbox.kie.faults.connections import Broken, gateway_page
from sandbox.kie.faults.faults import Fault
from sandbox.kie.faults.refusals import SERVER_ERROR, TOO_OFTEN, UNAUTHORIZED
from sandbox.kie.state import ProviderState

__all__ = ["BalanceApi"]

_REFUSALS: Final = {refusal.code: refusal for refusal in (UNAUTHORIZED, TOO_OFTEN, SERVER_ERROR)}


class BalanceApi:
    """The endpoint of the balance. Reading it costs nothing, and no limit applies."""

    def __init__(self, state: ProviderState) -> None:
        self._state = state
        self._envelope = Envelope(state.options)

    async def credit(self, request: Request) -> Response:
        """``GET /api/v1/chat/credit``: the balance, a bare number in ``data``."""
        state = self._state
        rng = state.randomness("credit")
        if strike := state.faults.first((Fault.BALANCE_ODD,), rng):
            state.ledger.count("credit", strike.fault)
            kind, value = BALANCES[strike.variant]
            if kind == "hang":
                await client_left_within(FOREVER, request)
            if kind == "page":
                return gateway_page(value)
            if kind == "code":
                return self._envelope.refusal(_REFUSALS[value], rng)
            return self._envelope.ok(value) if kind == "data" else Broken(reset=True)
        caller = state.accounts.caller(request.headers.get("authorization"))
        if caller is None or not caller.allowed:
            return self._envelope.refusal(UNAUTHORIZED, rng)
        state.ledger.count("credit", "200")
        return self._envelope.ok(caller.account.balance(state.now()))
