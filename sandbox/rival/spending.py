"""A second client of an account, which spends a share of the createTask quota at an even rate.

Limits apply to an account (contract 1.5), so another holder of a key spends them too, invisibly to the fleet.
"""

import asyncio
import math
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from sandbox.kie.tasks.orders import MODEL

__all__ = ["PROMPT", "UNANSWERED", "Plan", "Spent", "sender", "spend"]

PROMPT: Final = "outside "
"""The prefix of all prompts of the second client, which identifies its tasks in the ledger."""
UNANSWERED: Final = "unanswered"
"""The outcome of a request without a code: it may have created a task."""


@dataclass(frozen=True)
class Plan:
    """The rate and the duration of the spending. Raises :class:`ValueError`, which names an invalid field."""

    share: float = 0.25
    """The share of the account's quota, above 0 and at most 1."""
    creates: int = 20
    """The account's quota: createTask calls per window."""
    window: float = 10.0
    """The length of the quota's window in seconds."""
    seconds: float = 60.0
    """The duration of the spending."""

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise ValueError("share: must be above 0 and at most 1")
        if self.creates < 1:
            raise ValueError("creates: must be at least 1")
        for name in ("window", "seconds"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name}: must be above 0, and finite")

    @property
    def interval(self) -> float:
        """The seconds from one request to the next."""
        return self.window / (self.share * self.creates)

    @property
    def requests(self) -> int:
        """The most requests: those that begin before the end."""
        return math.ceil(self.seconds / self.interval)


@dataclass
class Spent:
    """The counts of answers by code."""

    outcomes: Counter[str] = field(default_factory=Counter)

    def to_json(self, plan: Plan) -> dict[str, Any]:
        """The summary, in which ``accepted``, ``refused`` and ``unanswered`` add up to ``sent``."""
        refusals = {code: n for code, n in self.outcomes.items() if code not in ("200", UNANSWERED)}
        return {
            "sent": self.outcomes.total(),
            "accepted": self.outcomes["200"],
            "refused": sum(refusals.values()),
            "refusals": refusals,
            "unanswered": self.outcomes[UNANSWERED],
            "interval": plan.interval,
        }


async def spend(
    plan: Plan, send: Callable[[int], Awaitable[str]], is_over: Callable[[float], Awaitable[bool]]
) -> Spent:
    """Send the plan's requests, at least its interval apart, and wait for their answers.

    ``send`` sends the request with a number and returns the code. ``is_over`` waits for a number of seconds,
    and returns True, at once if possible, when the spending is to stop.
    """
    spent = Spent()

    async def count(number: int) -> None:
        spent.outcomes[await send(number)] += 1

    async with asyncio.TaskGroup() as requests:
        for number in range(plan.requests):
            # The interval counts from this request and not from the first, so that the next one never comes
            # too soon after a late one.
            requests.create_task(count(number))
            if await is_over(plan.interval):
                break
    return spent


def sender(client: httpx.AsyncClient, name: str) -> Callable[[int], Awaitable[str]]:
    """A ``send`` for :func:`spend`; ``name`` distinguishes its prompts from those of another run."""

    async def send(number: int) -> str:
        given = {"prompt": f"{PROMPT}{name} {number}", "rendering_speed": "TURBO"}
        try:
            response = await client.post("/api/v1/jobs/createTask", json={"model": MODEL, "input": given})
            return str(int(response.json()["code"]))
        except (httpx.HTTPError, ValueError, TypeError, KeyError):
            return UNANSWERED

    return send
