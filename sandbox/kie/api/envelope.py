"""The JSON envelope of every answer (contract 1.2, 1.3)."""

import random
from typing import Any, Final

from starlette.responses import Response

from sandbox.kie.faults.hints import Hint
from sandbox.kie.faults.refusals import Refusal
from sandbox.kie.faults.wire import encoded
from sandbox.kie.options import NoData, ProviderOptions

__all__ = ["HEADERS", "NO_HINT", "Envelope"]

# As observed on the wire: an unneeded cookie, no Retry-After and no rate-limit header.
HEADERS: Final = {
    "content-type": "application/json;charset=UTF-8",
    "set-cookie": "JSESSIONID=5A0DB0C5E6F94B1DA7; Path=/; HttpOnly",
}
NO_HINT: Final = Hint()


class Envelope:
    """Builds the answers in the dialect that the options choose."""

    def __init__(self, options: ProviderOptions) -> None:
        self._message_key = options.message_key
        self._no_data = options.no_data
        self._http_status = options.http_status

    def ok(self, data: Any) -> Response:
        return Response(self.success(data), headers=HEADERS)

    def refusal(self, refusal: Refusal, rng: random.Random, hint: Hint = NO_HINT) -> Response:
        """An error in the body of an HTTP 200 or, for a configured share, with a real HTTP status."""
        content: dict[str, Any] = {"code": refusal.code, self._message_key: refusal.text + hint.words}
        if self._no_data is NoData.NULL:
            content["data"] = None
        status = 200
        if rng.random() < self._http_status:
            status = refusal.code if 400 <= refusal.code < 600 else 500
        return Response(encoded(content | dict(hint.fields)), status, headers={**HEADERS, **hint.headers})

    def success(self, data: Any) -> bytes:
        return encoded({"code": 200, self._message_key: "success", "data": data})
