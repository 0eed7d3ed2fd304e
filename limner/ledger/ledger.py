"""The ledger by its parts."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import redis

from limner.configuration import DEFAULT_PREFIX, Durability
from limner.ledger.accounts import Accounts
from limner.ledger.budget import Budget
from limner.ledger.check import Check
from limner.ledger.copies import Copies
from limner.ledger.durations import USUAL
from limner.ledger.estimates import Estimates
from limner.ledger.jobs import Jobs
from limner.ledger.journal import Journal
from limner.ledger.layout.keys import ACCOUNTS, LAYOUT, TURNS_NOW
from limner.ledger.learned import Learned
from limner.ledger.letters import Letters
from limner.ledger.losses import Losses
from limner.ledger.memory import Memory
from limner.ledger.messages import Leases
from limner.ledger.queue import Queue
from limner.ledger.scripts.script import YesOrNo
from limner.ledger.statuses import Statuses
from limner.ledger.store import Store
from limner.ledger.ticks import Ticks


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckLayout(YesOrNo):
    """A question for the layout, which is refused if it is another one."""

    NAME: ClassVar[str] = "check_layout"


class Ledger:
    """The ledger of an account group of the fleet with this ``prefix``, divided into parts.

    ``clock`` returns the time in seconds since the epoch. Without it, the ledger uses the Redis server's
    clock, and the clocks of the machines do not matter. ``steady`` is a clock that nobody sets, by default
    this machine's, and shows a step of the other one. ``durability`` applies to new jobs and attempts.
    ``assumed`` has the durations of tasks before anything is learned, in seconds by rendering speed. The
    ledgers of one worker share a ``memory``.
    """

    def __init__(
        self,
        client: "redis.Redis",
        *,
        prefix: str = DEFAULT_PREFIX,
        group: str = "main",
        leases: Leases | None = None,
        durability: Durability = Durability.SERVER,
        clock: Callable[[], float] | None = None,
        steady: Callable[[], float] | None = None,
        assumed: Mapping[str, float] = USUAL,
        memory: Memory | None = None,
    ) -> None:
        self.leases = leases or Leases()
        self.store = Store(client, prefix=prefix, group=group, durability=durability, clock=clock)
        self.journal = Journal(self.store)
        """Logs and events."""
        self.memory = memory or Memory()
        """The last state of the ledger that this process has seen, and the attempts that it has sent."""
        self.jobs = Jobs(self.store, self.leases, self.journal, self.memory)
        """Records, and the transitions between a job's states."""
        self.copies = Copies(self.store, self.leases)
        """Copies of images."""
        self.accounts = Accounts(self.store)
        """Quotas and pauses."""
        self.losses = Losses(self.store, self.leases, self.jobs, self.memory)
        """Losses of the ledger's data."""
        self.queue = Queue(
            self.store, self.leases, self.accounts, self.losses, steady or clock or time.monotonic
        )
        """Claims, and the positions of waiting jobs."""
        self.budget = Budget(self.store)
        """Spending, and money that is held."""
        self.durations = Learned(self.store, assumed)
        """Durations of tasks."""
        self.estimates = Estimates(self.queue, self.durations)
        """Estimates of when jobs are sent and when they end."""
        self.statuses = Statuses(self.queue, self.estimates, self.copies)
        """Statuses of jobs."""
        self.ticks = Ticks(self.store)
        """The progress of the schedule."""
        self.check = Check(self.store)
        """The walk that finds what contradicts itself."""
        self.letters = Letters(self.store)
        """Messages that were set aside, and the key of the fleet's own."""

    @property
    def prefix(self) -> str:
        """The prefix of all keys."""
        return self.store.prefix

    def check_layout(self) -> None:
        """Raises RecordUnreadable for a ledger of another version, RecordTooNew for a newer one's."""
        self.store.run(CheckLayout())

    def is_new(self) -> bool:
        """True if nobody has used the ledger yet, so that it has no layout."""
        keys = (LAYOUT, ACCOUNTS, TURNS_NOW)
        with self.store.client() as client:
            return not client.exists(*(key(self.prefix) for key in keys))

    def server_info(self) -> dict[str, Any]:
        """The server's INFO; empty if the user has no right to it, or the server does not know it."""
        with self.store.client() as client:
            try:
                info: dict[str, Any] = client.info()
            except redis.exceptions.BusyLoadingError:
                raise
            except redis.ResponseError as error:
                if isinstance(error, redis.exceptions.NoPermissionError) or "unknown command" in str(error):
                    return {}
                raise
        return info
