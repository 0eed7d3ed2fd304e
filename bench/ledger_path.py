"""A job's way through the ledger as the workers walk it: the only place of the benches that says how."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import count
from typing import Any, Final

from limner import TextToImage
from limner.connection import connect
from limner.durations import kind_of
from limner.ledger import Claim, Grant, Ledger, Money, Quota
from limner.submission import prepare
from limner.terms import MAIN, Caps, Submitted
from provider import PRICES

CLAIM: Final = 20
"""Steps that a claim takes at most."""
REQUEST: Final = TextToImage(prompt="a boat at dawn, fishing nets drying, low golden light on wet planks")
URL: Final = "https://tempfile.aiquickdraw.com/ideogram/0f6a1c9e5b7d4f2f8f7d1c3b5a697881_1764288000.png"
MONEY: Final = Money({str(speed): price for speed, price in PRICES.credits_per_image.items()}, Caps())
"""As a worker without caps asks."""


def roomy(account: str = MAIN) -> Quota:
    """More than a bench uses."""
    return Quota(1_000_000, 10.0, 1_000_000, 1.0, 1_000_000, account=account)


@dataclass(frozen=True, slots=True)
class Sent:
    """A job whose request is out."""

    job_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Ended:
    """A job whose task has ended."""

    job_id: str
    at: datetime


class Path:
    """One client of the ledger. Each method is one stage of one job; only claims take many."""

    def __init__(self, url: str, quotas: Sequence[Quota] = (roomy(),)) -> None:
        # redis-py's annotations cannot tell decoded answers from bytes.
        self.client: Any = connect(url, timeout=60.0)
        self._ledger = Ledger(self.client)
        self._quotas = quotas
        self._numbers = count()

    def submit(self, account: str | None = None) -> Submitted:
        """A new job, of any account or of that one only."""
        return self._ledger.submit(prepare(REQUEST, account=account))

    def claim(self) -> list[Claim]:
        """Up to ``CLAIM`` steps that may happen now."""
        return self._ledger.claim(*self._quotas, money=MONEY, batch=CLAIM).steps

    def claims(self, steps: int) -> Iterator[Claim]:
        """So many steps, which must be there."""
        while steps > 0:
            claimed = self.claim()
            assert claimed, f"{steps} steps are missing"
            steps -= len(claimed)
            yield from claimed

    def give_back(self, steps: Sequence[Claim]) -> None:
        """Steps that were claimed, as a worker does that ends."""
        self._ledger.give_back(steps)

    def begin(self, step: Claim) -> Sent:
        """Put an attempt on record."""
        token = f"{next(self._numbers):032x}"
        grant = self._ledger.begin(step.job_id, step.lease, token, deadline=900.0, money=MONEY)
        assert isinstance(grant, Grant), grant
        return Sent(step.job_id, grant.attempt)

    def accepted(self, sent: Sent) -> None:
        """The provider has named the task, which is to be looked at at once."""
        self._ledger.accepted(sent.job_id, sent.attempt, _task(sent.job_id), look_in=0.0)

    def begin_look(self, step: Claim) -> int:
        """The record for a look; returns the number of looks before."""
        record = self._ledger.begin_look(step.job_id, step.lease)
        assert record, f"{step} is stale"
        return record.looks

    def looked(self, step: Claim) -> None:
        """The task was not ready, and is looked at again at once."""
        self._ledger.looked(step.job_id, step.lease, "pending", look_in=0.0)

    def succeeded(self, step: Claim) -> Ended:
        """The task has made its image."""
        cost = Decimal(str(MONEY.prices[str(REQUEST.rendering_speed)]))
        end = self._ledger.task_succeeded(step.job_id, _task(step.job_id), [URL], cost, ttl=86_400.0)
        assert end.at, end
        return Ended(step.job_id, end.at)

    def learn(self) -> None:
        """How long it took."""
        self._ledger.learn(kind_of(REQUEST), 16.0)

    def stored(self, ended: Ended) -> None:
        """The result lies in the result backend."""
        assert self._ledger.stored(ended.job_id, ended.at, ttl=86_400.0)


def _task(job_id: str) -> str:
    return f"task-of-{job_id}"
