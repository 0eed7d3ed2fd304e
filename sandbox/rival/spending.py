"""A second client of an account: how it spends its share of the createTask quota, evenly and from outside.

Limits are an account's (contract 1.5), and whoever else has a key of it spends them too, unseen.
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
"""How every prompt of the second client begins, so that ledgers can be told apart."""
UNANSWERED: Final = "unanswered"
"""The outcome of a request without a code: it may have created a task."""


@dataclass(frozen=True)
class Plan:
    """What is spent. Raises :class:`ValueError` that names what is out of range."""

    share: float = 0.25
    """Of the account's quota, above 0 and at most 1."""
    creates: int = 20
    """The account's quota: createTask calls per window."""
    window: float = 10.0
    """In seconds."""
    seconds: float = 60.0
    """When it is over."""

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
        """How many there are at most: those that begin before it is over."""
        return math.ceil(self.seconds / self.interval)


@dataclass
class Spent:
    """What the requests were answered, by code."""

    outcomes: Counter[str] = field(default_factory=Counter)

    def to_json(self, plan: Plan) -> dict[str, Any]:
        """``accepted``, ``refused`` and ``unanswered`` add up to ``sent``; ``refusals`` are by code."""
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
    """Send the plan's requests, never two within less than its interval, and wait for their answers.

    ``send`` sends the request of that number and returns the code. ``is_over`` waits for so many seconds, or
    until it is known that the rest is not wanted, and then returns True.
    """
    spent = Spent()

    async def count(number: int) -> None:
        spent.outcomes[await send(number)] += 1

    async with asyncio.TaskGroup() as requests:
        for number in range(plan.requests):
            # From this request and not from the first: one that came late does not draw the next near.
            requests.create_task(count(number))
            if await is_over(plan.interval):
                break
    return spent


def sender(client: httpx.AsyncClient, name: str) -> Callable[[int], Awaitable[str]]:
    """A ``send`` for :func:`spend`; ``name`` tells these prompts from those of another run."""

    async def send(number: int) -> str:
        given = {"prompt": f"{PROMPT}{name} {number}", "rendering_speed": "TURBO"}
        try:
            response = await client.post("/api/v1/jobs/createTask", json={"model": MODEL, "input": given})
            return str(int(response.json()["code"]))
        except (httpx.HTTPError, ValueError, TypeError, KeyError):
            return UNANSWERED

    return send
