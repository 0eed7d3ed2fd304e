"""The JSON envelope of every answer, complete or broken (contract 1.2, 1.3)."""

import json
import random
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from starlette.responses import Response

from sandbox.kie.faults.connections import Broken, gateway_page
from sandbox.kie.faults.faults import Fault
from sandbox.kie.faults.refusals import SERVER_ERROR, Refusal
from sandbox.kie.options import NoData, ProviderOptions
from sandbox.kie.tasks.ledger import CallEnd

__all__ = ["BROKEN_ANSWERS", "Envelope"]

# As observed on the wire: an unneeded cookie, no Retry-After and no rate-limit header.
_HEADERS = {
    "content-type": "application/json;charset=UTF-8",
    "set-cookie": "JSESSIONID=5A0DB0C5E6F94B1DA7; Path=/; HttpOnly",
}


class Envelope:
    """Builds the answers in the dialect that the options choose."""

    def __init__(self, options: ProviderOptions) -> None:
        self._message_key = options.message_key
        self._no_data = options.no_data
        self._http_status = options.http_status

    def ok(self, data: Any) -> Response:
        return Response(self.success(data), headers=_HEADERS)

    def refusal(self, refusal: Refusal, rng: random.Random) -> Response:
        """An error in the body of an HTTP 200 or, for a configured share, with a real HTTP status."""
        content: dict[str, Any] = {"code": refusal.code, self._message_key: refusal.text}
        if self._no_data is NoData.NULL:
            content["data"] = None
        status = 200
        if rng.random() < self._http_status:
            status = refusal.code if 400 <= refusal.code < 600 else 500
        return Response(json.dumps(content).encode(), status, headers=_HEADERS)

    def success(self, data: Any) -> bytes:
        return json.dumps({"code": 200, self._message_key: "success", "data": data}).encode()


Answer = Callable[[Envelope, dict[str, str], random.Random], Response]


def _truncated(envelope: Envelope, ids: dict[str, str], _rng: random.Random) -> Response:
    whole = envelope.success(ids)
    return Response(whole[: len(whole) // 2], headers=_HEADERS)


def _reset_mid_body(envelope: Envelope, ids: dict[str, str], _rng: random.Random) -> Response:
    whole = envelope.success(ids)
    return Broken(whole[: len(whole) // 2], reset=True)


BROKEN_ANSWERS: Mapping[Fault, tuple[CallEnd, Answer]] = MappingProxyType(
    {
        Fault.ACCEPT_THEN_DROP: (CallEnd.DROPPED, lambda _envelope, _ids, _rng: Broken(reset=False)),
        Fault.HTML_AFTER: (CallEnd.HTML, lambda _envelope, _ids, _rng: gateway_page(524)),
        Fault.CREATE_500_AFTER: (
            CallEnd.ERROR_500,
            lambda envelope, _ids, rng: envelope.refusal(SERVER_ERROR, rng),
        ),
        Fault.NO_TASK_ID: (CallEnd.NO_TASK_ID, lambda envelope, _ids, _rng: envelope.ok({})),
        Fault.TRUNCATED_JSON: (CallEnd.TRUNCATED, _truncated),
        Fault.RESET_MID_BODY: (CallEnd.RESET_MID_BODY, _reset_mid_body),
    }
)
"""By fault, the broken answer that replaces the ids of an accepted task (contract 1.6)."""
