"""Claims of due steps, and the positions of waiting jobs."""

import hashlib
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, ClassVar, Final, Literal

from limner.ledger.accounts import Accounts
from limner.ledger.forecast import Capacity
from limner.ledger.layout.constants import LONGEST_NAP as LONGEST_NAP_MS
from limner.ledger.layout.constants import MOST_MAINTAINED, TURNS, VERSION
from limner.ledger.layout.keys import DUE, JOB, READY, READY_OF, WAKEUP
from limner.ledger.losses import Losses, fresh_epoch
from limner.ledger.memory import Seen
from limner.ledger.messages import (
    FREE,
    Claim,
    Claimed,
    Leases,
    Loss,
    Milliseconds,
    Money,
    Quota,
    moment,
    to_ms,
)
from limner.ledger.outcomes import EXPIRED
from limner.ledger.scripts.encoding import of_caps, of_prices, of_quota
from limner.ledger.scripts.script import Count, Json, Script
from limner.ledger.store import Reading, Store
from limner.ledger.wakeup import WakeUp

LONGEST_NAP: Final = LONGEST_NAP_MS / 1000
"""Seconds that a dispatcher may sleep without asking what is due."""
REGISTER_EVERY: Final = 60.0
"""Seconds after which a worker registers again: another worker may have registered other limits meanwhile."""
_REGISTERED_AT_ONCE: Final = 100
_WORDS: Final[tuple[Literal["unknown", "stepped", "behind"], ...]] = ("unknown", "stepped", "behind")
_TRIES: Final = 4
"""Calls of a claim: what it answers instead of steps is done at most once each."""


@dataclass(frozen=True, slots=True)
class Leased:
    """The reply of a claim that leases steps."""

    claimed: Claimed
    seen: Seen


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimSteps(Script[Leased | Literal["unknown", "stepped", "behind"]]):
    """The call that leases the steps that may happen now."""

    NAME: ClassVar[str] = "claim"
    registration: str
    epoch: str | None
    moves: int
    attempts: int
    expected: Milliseconds | None
    lease: Milliseconds
    poll_lease: Milliseconds
    copy_lease: Milliseconds
    store_lease: Milliseconds
    copies: int
    batch: int
    expired: str
    prices: Json | None
    caps: Json | None

    def read(self, reply: Any) -> Leased | Literal["unknown", "stepped", "behind"]:
        """The leased steps; a word if the worker has to do something before (``claim.lua``)."""
        for word in _WORDS:
            if reply == word:
                return word
        steps, unreadable, wait, now, epoch, moves, attempts = reply
        nap = LONGEST_NAP if wait < 0 else wait / 1000
        claimed = Claimed([Claim(*step) for step in steps], unreadable, nap, now)
        return Leased(claimed, Seen(epoch, int(moves), int(attempts)))


@dataclass(frozen=True, slots=True, kw_only=True)
class ShiftClock(Count):
    """The call that moves the ledger's times after a step of the server's clock."""

    NAME: ClassVar[str] = "shift_clock"
    registration: str
    expected: Milliseconds | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveBack(Count):
    """The call that gives claimed steps back."""

    NAME: ClassVar[str] = "give_back"
    steps: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Register(Count):
    """The call that registers workers with the same settings."""

    NAME: ClassVar[str] = "register"
    registration: str
    fresh: str
    quotas: Json
    last: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Maintain(Count):
    """The call that does the housekeeping of a few accounts."""

    NAME: ClassVar[str] = "maintain"


@dataclass(frozen=True, slots=True)
class Turn:
    """The turn of a queued job, and the capacities of the accounts. Times are in seconds since the epoch."""

    now: float
    claimed: bool
    """True if the job has a permit already."""
    over_budget: bool
    """True if the job waits for money; nothing says when there will be some."""
    before: int
    """The number of jobs in the common queue that go first."""
    account: str | None
    """The only account that may send the job, or None."""
    due: float
    """The end of the job's back-off; 0 without one."""
    capacities: list[Capacity]


@dataclass(slots=True)
class Queue:
    """The steps of all jobs of an account group. Raises StoreUnavailable."""

    store: Store
    leases: Leases
    accounts: Accounts
    losses: Losses
    steady: Callable[[], float] = time.monotonic
    """A clock that nobody sets, in seconds. It shows a step of the ledger's clock."""
    _seen: tuple[Milliseconds, float] | None = field(default=None, init=False)
    """The time of the last claim, by the ledger's clock and by the steady one."""
    _quotas: tuple[Quota, ...] = field(default=(), init=False)
    _registration: str = field(default="", init=False)
    """The digest of the quotas that were last registered."""
    _register_at: float = field(default=0.0, init=False)

    # Workers

    def claim(self, *quotas: Quota, money: Money = FREE, batch: int = 100, copies: int = 0) -> Claimed:
        """Lease up to ``batch`` steps of each kind that may happen now, on the accounts of these quotas.

        Of the jobs whose images are to be copied, ``copies`` are leased at most.

        New quotas are registered first. A later claim with the same quotas does not send them again until
        :data:`REGISTER_EVERY` seconds have passed.
        """
        if quotas != self._quotas or time.monotonic() >= self._register_at:
            self._register(quotas)
        loss: Loss | None = None
        stepped, expected = 0.0, self._expected()
        for _ in range(_TRIES):
            claimed = self.store.run(self._claim(money, batch, copies, expected))
            if isinstance(claimed, Leased):
                self.losses.memory.see(claimed.seen)
                self._seen = claimed.claimed.now, self.steady()
                return replace(claimed.claimed, stepped=stepped, loss=loss)
            if claimed == "stepped":
                shift = ShiftClock(registration=self._registration, expected=self._expected())
                stepped += self.store.run(shift) / 1000
            elif claimed == "unknown":
                # The ledger was emptied, or this worker has not claimed for an hour.
                self._register(quotas)
            else:
                loss = self.losses.recall(money)
            expected = None
        return Claimed([], [], LONGEST_NAP, loss=loss)

    def _claim(self, money: Money, batch: int, copies: int, expected: Milliseconds | None) -> ClaimSteps:
        seen = self.losses.memory.seen()
        return ClaimSteps(
            registration=self._registration,
            epoch=seen.epoch,
            moves=seen.moves,
            attempts=seen.attempts,
            expected=expected,
            lease=to_ms(self.leases.step),
            poll_lease=to_ms(self.leases.poll),
            copy_lease=to_ms(self.leases.copy),
            store_lease=0,
            copies=copies,
            batch=batch,
            expired=EXPIRED,
            prices=of_prices(money),
            caps=of_caps(money),
        )

    def _expected(self) -> Milliseconds | None:
        """The time that the ledger's clock shows if nobody has set it since the last claim."""
        if self._seen is None:
            return None
        now, at = self._seen
        return now + to_ms(self.steady() - at)

    def _register(self, quotas: tuple[Quota, ...]) -> None:
        limits = [of_quota(quota) for quota in quotas]
        # Workers of another version may be able to read other records, so they register apart.
        registered = json.dumps([VERSION, limits], sort_keys=True)
        registration = hashlib.sha256(registered.encode()).hexdigest()[:16]
        parts = [
            limits[start : start + _REGISTERED_AT_ONCE]
            for start in range(0, len(limits), _REGISTERED_AT_ONCE)
        ]
        # A registration that breaks off counts as none.
        self._quotas = ()
        for number, part in enumerate(parts or [[]], start=1):
            self.store.run(
                Register(
                    registration=registration,
                    fresh=fresh_epoch(),
                    quotas=part,
                    last=number >= len(parts),
                )
            )
        self._quotas, self._registration = quotas, registration
        self._register_at = time.monotonic() + REGISTER_EVERY

    def maintain(self) -> bool:
        """Do the housekeeping of a few accounts; returns True if more accounts are due at once."""
        return self.store.run(Maintain()) >= MOST_MAINTAINED

    def give_back(self, steps: Iterable[Claim]) -> int:
        """Give back claimed steps that no worker will take. Their permits and slots are free again at once.

        Steps that have begun, or that another worker has leased, stay as they are. Returns the number of
        steps given back.
        """
        given = [(step.job_id, step.step, step.lease) for step in steps]
        return self.store.run(GiveBack(steps=given)) if given else 0

    def wakeup(self) -> WakeUp:
        """A new wake-up, on which a dispatcher sleeps."""
        return WakeUp(self.store.redis, WAKEUP(self.store.prefix))

    # Producers

    def position(self, job_id: str) -> Reading[tuple[int | None, datetime | None]]:
        """The job's position in the ready queue, beginning with 1, and the time at which it is due.

        Either is None if it does not apply. The position is exact in the common queue. A job that names an
        account shares the account's permits with the common queue, so all jobs that go first there are
        counted, whichever account will send them.
        """
        prefix = self.store.prefix
        pinned, rank, due = yield lambda pipe: (
            pipe.hget(JOB(prefix, job_id), "pinned"),
            pipe.zrank(self._ready(None), job_id),
            pipe.zscore(DUE(prefix), job_id),
        )
        if pinned:
            rank = yield from self._own_rank(job_id, pinned)
        return None if rank is None else rank + 1, None if due is None else moment(round(due))

    def _own_rank(self, job_id: str, account: str) -> Reading[int | None]:
        own = self._ready(account)
        [score] = yield lambda pipe: pipe.zscore(own, job_id)
        if score is None:
            return None
        ahead, before = yield lambda pipe: (
            pipe.zrank(own, job_id),
            pipe.zcount(self._ready(None), "-inf", f"({score:.0f}"),
        )
        return None if ahead is None else int(ahead + before)

    def _ready(self, account: str | None) -> str:
        prefix = self.store.prefix
        return READY_OF(prefix, account) if account else READY(prefix)

    def turn(self, job_id: str) -> Reading[Turn]:
        """The input of a forecast for a queued job."""
        names = ("priority", "turn", "pinned", "slot", "over_budget_reported")
        (priority, turn, pinned, slot, over), due = yield lambda pipe: (
            pipe.hmget(JOB(self.store.prefix, job_id), names),
            pipe.zscore(DUE(self.store.prefix), job_id),
        )
        score = (9 - int(priority or 0)) * TURNS + int(turn or 0)
        now, capacities = yield from self.accounts.capacities(score)
        rank, before = yield lambda pipe: (
            # Jobs of several lanes can have equal turns. Only the rank says which one goes first.
            pipe.zrank(self._ready(pinned), job_id),
            pipe.zcount(self._ready(None), "-inf", f"({score:.0f}"),
        )
        if pinned:
            capacities = [
                replace(capacity, ahead=rank or 0) if capacity.account == pinned else capacity
                for capacity in capacities
            ]
        elif rank is not None:
            before = rank
        return Turn(
            now=now,
            claimed=slot is not None,
            over_budget=over is not None,
            before=before,
            account=pinned,
            due=(due or 0.0) / 1000,
            capacities=capacities,
        )
