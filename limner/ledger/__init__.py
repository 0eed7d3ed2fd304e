"""The ledger: what Redis remembers of every job, and the only way to change it."""

from collections.abc import Callable, Mapping
from typing import Any

import redis

from limner.ledger.accounts import Accounts
from limner.ledger.budget import Budget
from limner.ledger.durations import USUAL
from limner.ledger.jobs import Jobs
from limner.ledger.journal import Journal
from limner.ledger.learned import Learned
from limner.ledger.messages import (
    Adoption,
    Claim,
    Claimed,
    Closing,
    Durability,
    Grant,
    Leases,
    Money,
    Quota,
    Step,
    Submission,
    Submitted,
)
from limner.ledger.queue import LONGEST_NAP, Queue
from limner.ledger.record import TaskEnd
from limner.ledger.store import Store
from limner.ledger.ticks import Ticks
from limner.status import Stray

__all__ = [
    "LONGEST_NAP",
    "Adoption",
    "Claim",
    "Claimed",
    "Closing",
    "Durability",
    "Grant",
    "Leases",
    "Ledger",
    "Money",
    "Quota",
    "Step",
    "Stray",
    "Submission",
    "Submitted",
    "TaskEnd",
]


class Ledger:
    """All that is remembered of an account group, by its parts.

    ``clock`` gives the time in seconds since the epoch; without it, the Redis server's own clock rules, and
    the clocks of the machines do not matter. ``durability`` is that of a new job and of an attempt.
    ``assumed`` is how long tasks take before anything is learned, in seconds by rendering speed.
    """

    def __init__(
        self,
        client: "redis.Redis",
        *,
        group: str = "main",
        leases: Leases | None = None,
        durability: Durability = Durability.SERVER,
        clock: Callable[[], float] | None = None,
        assumed: Mapping[str, float] = USUAL,
    ) -> None:
        self.leases = leases or Leases()
        self.store = Store(client, group=group, durability=durability, clock=clock)
        self.journal = Journal(self.store)
        """Logs and events."""
        self.jobs = Jobs(self.store, self.leases, self.journal)
        """Records, and the transitions between a job's states."""
        self.accounts = Accounts(self.store)
        """Quotas and pauses."""
        self.queue = Queue(self.store, self.leases, self.accounts)
        """Claims, and the places of jobs that wait."""
        self.budget = Budget(self.store)
        """Money."""
        self.durations = Learned(self.store, assumed)
        """Durations of tasks."""
        self.ticks = Ticks(self.store)
        """The progress of the schedule."""

    @property
    def prefix(self) -> str:
        """The prefix of all keys."""
        return self.store.prefix

    def server_facts(self) -> dict[str, Any]:
        """The server's INFO."""
        with self.store.client() as client:
            facts: dict[str, Any] = client.info()
        return facts
