"""The job API: createTask, recordInfo and the credit balance (contract 1, 2, 4)."""

import asyncio
import json
import random
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from sandbox.connections import Broken, gateway_page
from sandbox.envelope import BROKEN_ANSWERS, Envelope
from sandbox.faults import CREATE_REFUSED, Fault
from sandbox.ledger import CallEnd, Task, digest
from sandbox.orders import Order, read_order
from sandbox.records import record
from sandbox.refusals import NO_RECORD, ON_DEMAND, SERVER_ERROR, UNAUTHORIZED, Refusal
from sandbox.state import ProviderState

__all__ = ["JobsApi"]

_BEFORE: Final = (Fault.DROP_BEFORE_ACCEPT, Fault.HTML_BEFORE)
_AFTER: Final = tuple(BROKEN_ANSWERS)
_READ: Final = (Fault.RECORD_DROP, Fault.RECORD_HTML, Fault.RECORD_500)


class JobsApi:
    """The endpoints. Each answer is counted in the ledger under its code, or the kind of its absence."""

    def __init__(self, state: ProviderState) -> None:
        self._state = state
        self._envelope = Envelope(state.options)

    async def create_task(self, request: Request) -> Response:
        """``POST /api/v1/jobs/createTask``."""
        state = self._state
        body = _parsed(await request.body())
        model, given = (body.get("model"), body.get("input")) if isinstance(body, dict) else (None, None)
        rng = state.randomness(digest(str(model), given))
        if fault := state.faults.first(_BEFORE, rng):
            state.ledger.count("createTask", fault)
            return Broken(reset=True) if fault is Fault.DROP_BEFORE_ACCEPT else gateway_page(502)
        order = self._checked(request, body, rng)
        if isinstance(order, Refusal):
            state.ledger.count("createTask", str(order.code))
            return self._envelope.refusal(order, rng)
        task = state.accept(order, rng)
        if Fault.CALLBACK_EARLY in task.fate:
            await state.courier.deliver(task)
        return await self._answer(request, task, rng)

    async def record_info(self, request: Request) -> Response:
        """``GET /api/v1/jobs/recordInfo?taskId=…``."""
        state, now = self._state, self._state.now()
        task_id = request.query_params.get("taskId")
        task = state.ledger.tasks.get(task_id or "")
        rng = state.randomness(f"record {task_id}")
        if fault := state.faults.first(_READ, rng):
            state.ledger.count("recordInfo", fault)
            return self._broken_read(fault, rng)
        if refusal := self._may_read(request, task_id, task, now):
            state.ledger.count("recordInfo", str(refusal.code))
            return self._envelope.refusal(refusal, rng)
        state.ledger.count("recordInfo", "200")
        task = state.ledger.tasks[task_id or ""]
        task.reads += 1
        if task.seen_ms is None and task.finish_ms <= now * 1000:
            task.seen_ms = int(now * 1000)
        return self._envelope.ok(record(task, now * 1000, state.base_url, state.options.cost_time))

    async def credit(self, request: Request) -> Response:
        """``GET /api/v1/chat/credit``: ``data`` is a bare number."""
        state = self._state
        if state.account.key(request.headers.get("authorization")) is None:
            return self._envelope.refusal(UNAUTHORIZED, state.randomness("credit"))
        state.ledger.count("credit", "200")
        return self._envelope.ok(state.account.balance(state.now()))

    def _checked(self, request: Request, body: Any, rng: random.Random) -> Order | Refusal:
        state, now = self._state, self._state.now()
        if state.account.key(request.headers.get("authorization")) is None:
            return UNAUTHORIZED
        if fault := state.faults.first(CREATE_REFUSED, rng):
            return ON_DEMAND[fault]
        if refusal := state.account.may_create(now):
            return refusal
        order = read_order(body)
        return order if isinstance(order, Refusal) else state.account.can_pay(order, now) or order

    def _may_read(
        self, request: Request, task_id: str | None, task: Task | None, now: float
    ) -> Refusal | None:
        account = self._state.account
        key = account.key(request.headers.get("authorization"))
        if key is None:
            return UNAUTHORIZED
        if refusal := account.may_read(key, now):
            return refusal
        if not task_id:
            return Refusal(400, "taskId is required")
        if task is None:
            return NO_RECORD
        hidden = task.fate.get(Fault.RECORD_NULL_SECONDS)
        return NO_RECORD if hidden and now < task.created_ms / 1000 + hidden.seconds else None

    def _broken_read(self, fault: Fault, rng: random.Random) -> Response:
        if fault is Fault.RECORD_DROP:
            return Broken(reset=True)
        if fault is Fault.RECORD_HTML:
            return gateway_page(502)
        return self._envelope.refusal(SERVER_ERROR, rng)

    async def _answer(self, request: Request, task: Task, rng: random.Random) -> Response:
        state = self._state
        slow = state.faults.strikes(Fault.SLOW_ANSWER, rng)
        if slow and await _client_left_within(slow.seconds, request):
            task.ended = CallEnd.CLIENT_GONE
            state.ledger.count("createTask", task.ended)
            return Broken(reset=False)
        ids = {"taskId": task.id, "recordId": task.id}
        fault = state.faults.first(_AFTER, rng)
        if fault is None:
            task.ended = CallEnd.ANSWERED
            state.ledger.count("createTask", "200")
            return self._envelope.ok(ids)
        task.ended, respond = BROKEN_ANSWERS[fault]
        state.ledger.count("createTask", task.ended)
        return respond(self._envelope, ids, rng)


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


async def _client_left_within(seconds: float, request: Request) -> bool:
    try:
        message = await asyncio.wait_for(request.receive(), seconds)
    except TimeoutError:
        return False
    return bool(message["type"] == "http.disconnect")
