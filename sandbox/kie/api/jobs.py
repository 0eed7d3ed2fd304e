"""The job API: createTask, recordInfo and the credit balance (contract 1, 2, 4)."""

import asyncio
import json
import random
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from sandbox.kie.accounts.accounts import Caller
from sandbox.kie.accounts.calls import CREATE, READ, Arrival
from sandbox.kie.api.envelope import BROKEN_ANSWERS, Envelope
from sandbox.kie.faults.connections import Broken, gateway_page
from sandbox.kie.faults.faults import CREATE_REFUSED, Fault
from sandbox.kie.faults.refusals import NO_RECORD, ON_DEMAND, SERVER_ERROR, UNAUTHORIZED, Refusal
from sandbox.kie.state import ProviderState
from sandbox.kie.tasks.ledger import CallEnd, KieTask, digest
from sandbox.kie.tasks.orders import TaskOrder, read_order
from sandbox.kie.tasks.records import record

__all__ = ["JobsApi"]

_BEFORE: Final = (Fault.DROP_BEFORE_ACCEPT, Fault.HTML_BEFORE)
_AFTER: Final = tuple(BROKEN_ANSWERS)
_READ: Final = (Fault.RECORD_DROP, Fault.RECORD_HTML, Fault.RECORD_500)


class JobsApi:
    """The endpoints of jobs. Each answer is counted under its code, or the kind of its absence.

    The answer is decided when the call arrives; a configured latency delays only its delivery.
    """

    def __init__(self, state: ProviderState) -> None:
        self._state = state
        self._envelope = Envelope(state.options)

    async def create_task(self, request: Request) -> Response:
        """``POST /api/v1/jobs/createTask``: create a task."""
        state = self._state
        body = _parsed(await request.body())
        model, given = (body.get("model"), body.get("input")) if isinstance(body, dict) else (None, None)
        content = digest(str(model), given)
        arrival = state.arrived(CREATE, request.headers.get("authorization"))
        rng = state.randomness(content)
        wait = state.latency(CREATE, content)
        if fault := state.faults.first(_BEFORE, rng):
            broken = Broken(reset=True) if fault is Fault.DROP_BEFORE_ACCEPT else gateway_page(502)
            return await self._later(wait, request, arrival, fault, broken)
        checked = self._checked(arrival, body, rng)
        if isinstance(checked, Refusal):
            refusal = self._envelope.refusal(checked, rng)
            return await self._later(wait, request, arrival, str(checked.code), refusal)
        order, caller = checked
        task = state.accept(order, rng, caller.account, arrival.now)
        state.calls.created(arrival, task.id)
        if Fault.CALLBACK_EARLY in task.fate:
            await state.courier.deliver(task)
        return await self._answer(wait, request, arrival, task, rng)

    async def record_info(self, request: Request) -> Response:
        """``GET /api/v1/jobs/recordInfo?taskId=…``: read a task."""
        state = self._state
        task_id = request.query_params.get("taskId")
        task = state.ledger.tasks.get(task_id or "")
        # The log reuses a known task's id string instead of one more copy for each read.
        arrival = state.arrived(READ, request.headers.get("authorization"), task.id if task else task_id)
        content = f"record {task_id}"
        rng = state.randomness(content)
        wait = state.latency(READ, content)
        if fault := state.faults.first(_READ, rng):
            return await self._later(wait, request, arrival, fault, self._broken_read(fault, rng))
        readable = self._readable(arrival, task_id, task)
        if isinstance(readable, Refusal):
            refusal = self._envelope.refusal(readable, rng)
            return await self._later(wait, request, arrival, str(readable.code), refusal)
        readable.reads += 1
        now_ms = arrival.now * 1000
        shown = self._envelope.ok(record(readable, now_ms, state.base_url, state.options.cost_time))
        answer = await self._later(wait, request, arrival, "200", shown)
        if answer is shown and readable.seen_ms is None and readable.finish_ms <= now_ms:
            readable.seen_ms = int(state.now() * 1000)
        return answer

    async def credit(self, request: Request) -> Response:
        """``GET /api/v1/chat/credit``: the balance, a bare number in ``data``."""
        state = self._state
        caller = state.accounts.caller(request.headers.get("authorization"))
        if caller is None or not caller.allowed:
            return self._envelope.refusal(UNAUTHORIZED, state.randomness("credit"))
        state.ledger.count("credit", "200")
        return self._envelope.ok(caller.account.balance(state.now()))

    def _checked(self, arrival: Arrival, body: Any, rng: random.Random) -> tuple[TaskOrder, Caller] | Refusal:
        caller, now = arrival.caller, arrival.now
        if caller is None or not caller.allowed:
            return UNAUTHORIZED
        if fault := self._state.faults.first(CREATE_REFUSED, rng):
            return ON_DEMAND[fault]
        if refusal := caller.account.may_create(now):
            return refusal
        order = read_order(body)
        return order if isinstance(order, Refusal) else caller.account.can_pay(order, now) or (order, caller)

    def _readable(self, arrival: Arrival, task_id: str | None, task: KieTask | None) -> KieTask | Refusal:
        caller, now = arrival.caller, arrival.now
        if caller is None or not caller.allowed:
            return UNAUTHORIZED
        if refusal := caller.account.may_read(caller.key, now):
            return refusal
        if not task_id:
            return Refusal(400, "taskId is required")
        if task is None or task.account != caller.account.name:
            return NO_RECORD
        hidden = task.fate.get(Fault.RECORD_NULL_SECONDS)
        return NO_RECORD if hidden and now < task.created_ms / 1000 + hidden.seconds else task

    def _broken_read(self, fault: Fault, rng: random.Random) -> Response:
        if fault is Fault.RECORD_DROP:
            return Broken(reset=True)
        if fault is Fault.RECORD_HTML:
            return gateway_page(502)
        return self._envelope.refusal(SERVER_ERROR, rng)

    async def _answer(
        self, wait: float, request: Request, arrival: Arrival, task: KieTask, rng: random.Random
    ) -> Response:
        state = self._state
        if slow := state.faults.strikes(Fault.SLOW_ANSWER, rng):
            wait += slow.seconds
        if wait and await _client_left_within(wait, request):
            task.ended = CallEnd.CLIENT_GONE
            state.ended(arrival, task.ended)
            return Broken(reset=False)
        ids = {"taskId": task.id, "recordId": task.id}
        fault = state.faults.first(_AFTER, rng)
        if fault is None:
            task.ended = CallEnd.ANSWERED
            state.ended(arrival, "200")
            return self._envelope.ok(ids)
        task.ended, respond = BROKEN_ANSWERS[fault]
        state.ended(arrival, task.ended)
        return respond(self._envelope, ids, rng)

    async def _later(
        self, wait: float, request: Request, arrival: Arrival, outcome: str, answer: Response
    ) -> Response:
        if wait and await _client_left_within(wait, request):
            outcome, answer = CallEnd.CLIENT_GONE, Broken(reset=False)
        self._state.ended(arrival, outcome)
        return answer


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


async def _client_left_within(seconds: float, request: Request) -> bool:
    await request.body()  # after the whole request, only a disconnect can arrive
    try:
        message = await asyncio.wait_for(request.receive(), seconds)
    except TimeoutError:
        return False
    return bool(message["type"] == "http.disconnect")
