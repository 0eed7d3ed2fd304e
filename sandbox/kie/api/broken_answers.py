"""Answers to an accepted createTask that hide the task's id, or name it oddly (contract 1.6, 10)."""

import random
from collections.abc import Callable, Mapping
from types import MappingProxyType

from starlette.responses import Response

from sandbox.kie.api.envelope import HEADERS, Envelope
from sandbox.kie.faults.connections import Broken, gateway_page
from sandbox.kie.faults.faults import Fault
from sandbox.kie.faults.odd_envelopes import ODD_ENVELOPES
from sandbox.kie.faults.refusals import SERVER_ERROR
from sandbox.kie.faults.switches import Strike
from sandbox.kie.tasks.ledger import CallEnd

__all__ = ["BROKEN_ANSWERS", "broken_answer"]

Answer = Callable[[Envelope, str, random.Random, str], Response]
"""Builds the answer for a task's id and the fault's variant."""


def _half(envelope: Envelope, task_id: str) -> bytes:
    whole = envelope.success({"taskId": task_id, "recordId": task_id})
    return whole[: len(whole) // 2]


def _truncated(envelope: Envelope, task_id: str, _rng: random.Random, _variant: str) -> Response:
    return Response(_half(envelope, task_id), headers=HEADERS)


def _reset_mid_body(envelope: Envelope, task_id: str, _rng: random.Random, _variant: str) -> Response:
    return Broken(_half(envelope, task_id), reset=True)


def _odd(_envelope: Envelope, task_id: str, _rng: random.Random, variant: str) -> Response:
    status, body = ODD_ENVELOPES[variant](task_id)
    return Response(body, status, headers=HEADERS)


BROKEN_ANSWERS: Mapping[Fault, tuple[CallEnd, Answer]] = MappingProxyType(
    {
        Fault.ACCEPT_THEN_DROP: (CallEnd.DROPPED, lambda _envelope, _id, _rng, _variant: Broken(reset=False)),
        Fault.HTML_AFTER: (CallEnd.HTML, lambda _envelope, _id, _rng, variant: gateway_page(variant)),
        Fault.CREATE_500_AFTER: (
            CallEnd.ERROR_500,
            lambda envelope, _id, rng, _variant: envelope.refusal(SERVER_ERROR, rng),
        ),
        Fault.NO_TASK_ID: (CallEnd.NO_TASK_ID, lambda envelope, _id, _rng, _variant: envelope.ok({})),
        Fault.TRUNCATED_JSON: (CallEnd.TRUNCATED, _truncated),
        Fault.RESET_MID_BODY: (CallEnd.RESET_MID_BODY, _reset_mid_body),
        Fault.ODD_ENVELOPE: (CallEnd.ODD_ENVELOPE, _odd),
    }
)
"""By fault, the end of the call, and the answer that replaces the good one."""


def broken_answer(
    strike: Strike, envelope: Envelope, task_id: str, rng: random.Random
) -> tuple[CallEnd, Response]:
    """The end of the call and its answer when that fault strikes an accepted task."""
    end, respond = BROKEN_ANSWERS[strike.fault]
    return end, respond(envelope, task_id, rng, strike.variant)
