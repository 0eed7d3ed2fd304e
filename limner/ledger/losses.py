"""Losses of the ledger's data, which a worker finds and mends with what it remembers."""

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Final, Literal

from limner.ledger.jobs import Jobs
from limner.ledger.layout.keys import EPOCH
from limner.ledger.memory import Memory, Seen, Sent
from limner.ledger.messages import Adoption, Leases, Loss, Milliseconds, Money, moment, to_ms
from limner.ledger.scripts.encoding import of_prices
from limner.ledger.scripts.script import Json, Script
from limner.ledger.store import Store

_AT_ONCE: Final = 50
"""Attempts in one script, which then takes a millisecond or two."""
_POLL_IN: Final = 2.0
"""Seconds until the first poll of a task whose answer is written again."""


def fresh_epoch() -> str:
    """An id for a new epoch. Redis itself has no good randomness to give to scripts."""
    return secrets.token_hex(8)


@dataclass(frozen=True, slots=True)
class Recalled:
    """The reply of a recall."""

    what: Literal["rolled_back", "emptied", "known"]
    seen: Seen
    restored: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallCall(Script[Recalled]):
    """The call that tells the ledger what a worker remembers of a part of its history that is lost."""

    NAME: ClassVar[str] = "recall"
    epoch: str
    moves: int
    attempts: int
    fresh: str
    sent: Json
    send_lease: Milliseconds
    prices: Json | None

    def read(self, reply: Any) -> Recalled:
        """The kind of the loss, the present state, and how many attempts are on record again."""
        what, epoch, moves, attempts, restored = reply
        return Recalled(what, Seen(epoch or None, int(moves), int(attempts)), restored)


@dataclass(frozen=True, slots=True)
class LastLoss:
    """A loss of data that workers have found."""

    what: str
    at: datetime
    unexplained: int
    """The lost attempts that no worker remembers: jobs from before may be in doubt over them."""


@dataclass(frozen=True, slots=True)
class Losses:
    """The losses of the data of an account group. Raises StoreUnavailable."""

    store: Store
    leases: Leases
    jobs: Jobs
    memory: Memory

    def recall(self, money: Money) -> Loss:
        """Put what this worker remembers on record again, and go on from the ledger's present state.

        Attempts that are lost are on the wire again, also those of an earlier epoch, since the data may have
        gone back a second time. Then the answers follow that came to this worker. The tasks of jobs that are
        gone are kept with the unmatched callbacks.
        """
        seen, remembered = self.memory.seen(), self.memory.sent()
        if seen.epoch is None:
            return Loss("known", 0, 0)
        parts = [remembered[start : start + _AT_ONCE] for start in range(0, len(remembered), _AT_ONCE)]
        found = [self._tell(seen, part, money) for part in parts or [[]]]
        unknown = sum(self._answer(each) for each in remembered if each.task_id)
        # Whatever breaks off before is repeated, since the memory is still of the old state.
        self.memory.see(found[-1].seen, anew=True)
        return Loss(found[0].what, sum(each.restored for each in found), unknown)

    def _tell(self, seen: Seen, part: list[Sent], money: Money) -> Recalled:
        return self.store.run(
            RecallCall(
                epoch=seen.epoch or "",
                moves=seen.moves,
                attempts=seen.attempts,
                fresh=fresh_epoch(),
                sent=[
                    (
                        each.job_id,
                        each.attempt,
                        each.token,
                        each.account,
                        # Of another epoch, it says nothing about the lost part of this one.
                        each.number if each.epoch == seen.epoch else 0,
                        each.refused,
                    )
                    for each in part
                ],
                send_lease=to_ms(self.leases.send),
                prices=of_prices(money),
            )
        )

    def last(self) -> LastLoss | None:
        """The last loss that workers have found."""
        with self.store.client() as client:
            found = client.hmget(EPOCH(self.store.prefix), "found", "found_as", "lost", "known")
        at, what, lost, known = found
        if not at:
            return None
        return LastLoss(what or "", moment(int(at)), max(0, int(lost or 0) - int(known or 0)))

    def _answer(self, sent: Sent) -> bool:
        """Write an answer again. Returns True if its job is gone."""
        told = self.jobs.accepted(sent.job_id, sent.attempt, sent.task_id or "", poll_in=_POLL_IN)
        return told is Adoption.UNKNOWN_JOB
