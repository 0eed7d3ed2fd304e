"""Answers without a task: refusals, pages of intermediaries, and their hints when to try again."""

import random
from collections.abc import Callable

from starlette.responses import Response

from sandbox.kie.api.envelope import NO_HINT, Envelope
from sandbox.kie.faults.connections import Unusual, gateway_page
from sandbox.kie.faults.echoes import Echo
from sandbox.kie.faults.faults import Fault
from sandbox.kie.faults.hints import HINTED, HINTS, Hint
from sandbox.kie.faults.refusals import Refusal
from sandbox.kie.faults.switches import Source
from sandbox.kie.faults.variants import variant_of

__all__ = ["RefusedAnswers"]


class RefusedAnswers:
    """Builds the answers. ``now`` gives epoch seconds, for hints that are dates."""

    def __init__(self, envelope: Envelope, now: Callable[[], float]) -> None:
        self._envelope = envelope
        self._now = now

    def answer(self, refused: Refusal | Echo, faults: Source, rng: random.Random) -> tuple[str, Response]:
        """The outcome under which the call is counted, and the answer."""
        if isinstance(refused, Refusal):
            hint = self._hint(refused.code, faults, rng)
            return str(refused.code), self._envelope.refusal(refused, rng, hint)
        if refused.reason:
            return Fault.ECHO_SECRET, Unusual(refused.status, refused.reason)
        headers = {"content-type": refused.content_type}
        return Fault.ECHO_SECRET, Response(refused.body, refused.status, headers)

    def page(self, variant: str, faults: Source, rng: random.Random) -> Response:
        """The page of an intermediary."""
        page = gateway_page(variant)
        page.headers.update(self._hint(page.status_code, faults, rng).headers)
        return page

    def _hint(self, code: int, faults: Source, rng: random.Random) -> Hint:
        rule = faults.strikes(Fault.RETRY_AFTER, rng) if code in HINTED else None
        if rule is None:
            return NO_HINT
        return HINTS[variant_of(Fault.RETRY_AFTER, rule.variant)](rule.seconds, self._now())
