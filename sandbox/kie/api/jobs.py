"""The job API: createTask and recordInfo (contract 1, 2)."""

import json
import random
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from sandbox.kie.accounts.accounts import Caller
from sandbox.kie.accounts.calls import CREATE, READ, Arrival
from sandbox.kie.api.broken_answers import BROKEN_ANSWERS, broken_answer
from sandbox.kie.api.envelope import Envelope
from sandbox.kie.api.refused import RefusedAnswers
from sandbox.kie.api.waiting import FOREVER, client_left_within
from sandbox.kie.faults.connections import Broken
from sandbox.kie.faults.echoes import ECHOES, Echo
from sandbox.kie.faults.faults import CREATE_REFUSED, Fault
from sandbox.kie.faults.refusals import NO_RECORD, SERVER_ERROR, UNAUTHORIZED, Refusal, on_demand
from sandbox.kie.faults.rules import InvalidFault
from sandbox.kie.faults.switches import Source, Strike
from sandbox.kie.state import ProviderState
from sandbox.kie.tasks.ledger import CallEnd, KieTask, digest
from sandbox.kie.tasks.orders import TaskOrder, read_order
from sandbox.kie.tasks.others import other_record
from sandbox.kie.tasks.records import record

__all__ = ["JobsApi"]

_BEFORE: Final = (Fault.DROP_BEFORE_ACCEPT, Fault.HTML_BEFORE, Fault.HANG)
_AFTER: Final = tuple(BROKEN_ANSWERS)
_READ: Final = (Fault.RECORD_DROP, Fault.RECORD_HTML, Fault.RECORD_500, Fault.RECORD_HANG)
_HANGS: Final = (Fault.HANG, Fault.RECORD_HANG)


class JobsApi:
    """The endpoints of jobs. Each answer is counted under its code, or the kind of its absence.

    The answer is decided when the call arrives; a configured latency delays only its delivery.
    """

    def __init__(self, state: ProviderState) -> None:
        self._state = state
        self._envelope = Envelope(state.options)
        self._refused = RefusedAnswers(self._envelope, state.now)

    async def create_task(self, request: Request) -> Response:
        """``POST /api/v1/jobs/createTask``: create a task."""
        state = self._state
        body = _parsed(await request.body())
        model, given = (body.get("model"), body.get("input")) if isinstance(body, dict) else (None, None)
        content = digest(str(model), given)
        arrival = state.arrived(CREATE, request.headers.get("authorization"))
        rng = state.randomness(content)
        wait = state.latency(CREATE, content)
        try:
            faults = state.faults_of(given.get("prompt") if isinstance(given, dict) else None)
        except InvalidFault as error:
            unknown = self._envelope.refusal(Refusal(422, str(error)), rng)
            return await self._later(wait, request, arrival, "422", unknown)
        if strike := faults.first(_BEFORE, rng):
            broken = self._broken(strike, faults, rng)
            return await self._later(_wait(strike, wait), request, arrival, strike.fault, broken)
        checked = self._checked(arrival, body, faults, rng)
        if isinstance(checked, (Refusal, Echo)):
            outcome, answer = self._refused.answer(checked, faults, rng)
            return await self._later(wait, request, arrival, outcome, answer)
        order, caller = checked
        task = state.accept(order, rng, caller.account, arrival.now)
        state.calls.created(arrival, task.id)
        if Fault.CALLBACK_EARLY in task.fate:
            await state.courier.deliver(task)
        return await self._answer(wait, request, arrival, task, faults, rng)

    async def record_info(self, request: Request) -> Response:
        """``GET /api/v1/jobs/recordInfo?taskId=…``: read a task."""
        state = self._state
        task_id = request.query_params.get("taskId")
        task = state.ledger.tasks.get(task_id or "")
        faults = state.faults_of(task.input["prompt"] if task else None)
        # The log reuses a known task's id string instead of one more copy for each read.
        arrival = state.arrived(READ, request.headers.get("authorization"), task.id if task else task_id)
        content = f"record {task_id}"
        rng = state.randomness(content)
        wait = state.latency(READ, content)
        if strike := faults.first(_READ, rng):
            broken = self._broken(strike, faults, rng)
            return await self._later(_wait(strike, wait), request, arrival, strike.fault, broken)
        readable = self._readable(arrival, task_id, task)
        if isinstance(readable, Refusal):
            outcome, answer = self._refused.answer(readable, faults, rng)
            return await self._later(wait, request, arrival, outcome, answer)
        readable.reads += 1
        if strike := faults.first((Fault.RECORD_OTHER_TASK,), rng):
            other = self._other(readable, arrival.now, strike.variant)
            return await self._later(wait, request, arrival, strike.fault, other)
        now_ms = arrival.now * 1000
        shown = self._envelope.ok(record(readable, now_ms, state.base_url, state.options.cost_time))
        answer = await self._later(wait, request, arrival, "200", shown)
        if answer is shown and readable.seen_ms is None and readable.finish_ms <= now_ms:
            readable.seen_ms = int(state.now() * 1000)
        return answer

    def _checked(
        self, arrival: Arrival, body: Any, faults: Source, rng: random.Random
    ) -> tuple[TaskOrder, Caller] | Refusal | Echo:
        caller, now = arrival.caller, arrival.now
        if caller is None or not caller.allowed:
            return UNAUTHORIZED
        if strike := faults.first(CREATE_REFUSED, rng):
            if strike.fault is Fault.ECHO_SECRET:
                url = body.get("callBackUrl") if isinstance(body, dict) else None
                return ECHOES[strike.variant](caller.key, str(url or ""))
            return on_demand(strike)
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

    def _other(self, asked: KieTask, now: float, end: str) -> Response:
        state = self._state
        newest_first = reversed(state.ledger.tasks.values())
        unit = state.options.cost_time
        return self._envelope.ok(other_record(asked, newest_first, now * 1000, state.base_url, unit, end))

    def _broken(self, strike: Strike, faults: Source, rng: random.Random) -> Response:
        if strike.fault in (Fault.HTML_BEFORE, Fault.RECORD_HTML):
            return self._refused.page(strike.variant, faults, rng)
        if strike.fault is Fault.RECORD_500:
            return self._envelope.refusal(SERVER_ERROR, rng)
        return Broken(reset=True)

    async def _answer(
        self,
        wait: float,
        request: Request,
        arrival: Arrival,
        task: KieTask,
        faults: Source,
        rng: random.Random,
    ) -> Response:
        state = self._state
        if slow := faults.strikes(Fault.SLOW_ANSWER, rng):
            wait += slow.seconds
        if wait and await client_left_within(wait, request):
            task.ended = CallEnd.CLIENT_GONE
            state.ended(arrival, task.ended)
            return Broken(reset=False)
        strike = faults.first(_AFTER, rng)
        if strike is None:
            task.ended = CallEnd.ANSWERED
            state.ended(arrival, "200")
            return self._envelope.ok({"taskId": task.id, "recordId": task.id})
        task.ended, answer = broken_answer(strike, self._envelope, task.id, rng)
        state.ended(arrival, task.ended)
        return answer

    async def _later(
        self, wait: float, request: Request, arrival: Arrival, outcome: str, answer: Response
    ) -> Response:
        if wait and await client_left_within(wait, request):
            outcome, answer = CallEnd.CLIENT_GONE, Broken(reset=False)
        self._state.ended(arrival, outcome)
        return answer


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _wait(strike: Strike, wait: float) -> float:
    return FOREVER if strike.fault in _HANGS else wait
