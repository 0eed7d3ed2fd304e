"""A job's path through the ledger, as the workers take it, in one place for all benches."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import count
from typing import Any, Final

from limner import TextToImage
from limner._redis import connect
from limner.accounts import MAIN
from limner.ledger import (
    BackendResult,
    Caps,
    Claim,
    Grant,
    Ledger,
    Money,
    Polled,
    Quota,
    Record,
    Report,
    Submitted,
    TaskEnd,
    TaskSucceeded,
    kind_of,
)
from limner.submission import prepare
from provider import PRICES
from worker.services import POLLS_IN_A_MESSAGE

CLAIM: Final = 20
"""The most steps of a claim."""
REQUEST: Final = TextToImage(prompt="a boat at dawn, fishing nets drying, low golden light on wet planks")
URL: Final = "https://tempfile.aiquickdraw.com/ideogram/0f6a1c9e5b7d4f2f8f7d1c3b5a697881_1764288000.png"
RESULT: Final = (
    '{"status": "SUCCESS", "result": {"urls": ["' + URL + '"], "finished_at": "',
    '"}}' + 700 * " ",
)
"""A result's text of a realistic length, without its time."""
MONEY: Final = Money({str(speed): price for speed, price in PRICES.credits_per_image.items()}, Caps())
"""The prices and caps of a worker without caps."""


def roomy(account: str = MAIN) -> Quota:
    """A quota larger than any bench needs."""
    return Quota(1_000_000, 10.0, 1_000_000, 1.0, 1_000_000, account=account)


@dataclass(frozen=True, slots=True)
class Sent:
    """A job whose request has been sent."""

    job_id: str
    attempt: int


def messages(polls: Sequence[Claim]) -> Iterator[Sequence[Claim]]:
    """The polls of a claim in batches of one message each."""
    for start in range(0, len(polls), POLLS_IN_A_MESSAGE):
        yield polls[start : start + POLLS_IN_A_MESSAGE]


class Path:
    """One client of the ledger. Each method is one stage of a job."""

    def __init__(self, url: str, quotas: Sequence[Quota] = (roomy(),)) -> None:
        # redis-py's annotations do not distinguish decoded answers from bytes.
        self.client: Any = connect(url, timeout=60.0)
        self._ledger = Ledger(self.client)
        self._quotas = quotas
        self._numbers = count()

    def submit(self, account: str | None = None) -> Submitted:
        """Submit a new job, for any account or only for the given one."""
        return self._ledger.jobs.submit(prepare(REQUEST, account=account))

    def claim(self) -> list[Claim]:
        """Claim up to ``CLAIM`` steps that are due."""
        return self._ledger.queue.claim(*self._quotas, money=MONEY, batch=CLAIM).steps

    def claims(self, steps: int) -> Iterator[Claim]:
        """Claim ``steps`` steps, which must be due."""
        while steps > 0:
            claimed = self.claim()
            assert claimed, f"{steps} steps are missing"
            steps -= len(claimed)
            yield from claimed

    def give_back(self, steps: Sequence[Claim]) -> None:
        """Give back claimed steps, as a worker does when it ends."""
        self._ledger.queue.give_back(steps)

    def begin(self, step: Claim) -> Sent:
        """Record an attempt."""
        token = f"{next(self._numbers):032x}"
        grant = self._ledger.jobs.begin(step.job_id, step.lease, token, deadline=900.0, money=MONEY)
        assert isinstance(grant, Grant), grant
        return Sent(step.job_id, grant.attempt)

    def accepted(self, sent: Sent) -> None:
        """Record the provider's task, which is due for a poll at once."""
        self._ledger.jobs.accepted(sent.job_id, sent.attempt, _task(sent.job_id), poll_in=0.0)

    def begin_polls(self, steps: Sequence[Claim]) -> list[int]:
        """Begin the polls of a message; return each job's number of earlier polls."""
        records = self._ledger.jobs.begin_polls(steps)
        polls = [record.polls for record in records if isinstance(record, Record)]
        assert len(polls) == len(steps), f"{steps} are stale"
        return polls

    def report(self, steps: Sequence[Claim], *, over: bool) -> None:
        """Report that the tasks succeeded (``over``), or were not ready and are due again at once.

        A success also records a sample of the duration, and stores the result in Celery's backend.
        """
        for answer in self._ledger.jobs.report_polls([self._found(step, over) for step in steps]):
            assert isinstance(answer, TaskEnd), answer
            assert answer.what == ("ended" if over else "held"), answer

    def _found(self, step: Claim, over: bool) -> Report:
        if not over:
            return Polled(job_id=step.job_id, lease=step.lease, answer="pending", poll_in=0.0)
        return TaskSucceeded(
            job_id=step.job_id,
            task_id=_task(step.job_id),
            urls=[URL],
            cost=Decimal(str(MONEY.prices[str(REQUEST.rendering_speed)])),
            ttl=86_400.0,
            sample=self._ledger.durations.sample(kind_of(REQUEST), 16.0),
            result=BackendResult(
                key=f"celery-task-meta-{step.job_id}",
                head=RESULT[0],
                tail=RESULT[1],
                expires=86_400.0,
                attempt=1,
                ttl=86_400.0,
                follow=5.0,
            ),
        )


def _task(job_id: str) -> str:
    return f"task-of-{job_id}"
