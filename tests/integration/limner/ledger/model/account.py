"""The account in the model: its windows, its pause, its money. Times are in milliseconds."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from limner.ledger.messages import Closing, Quota

SPAN, POLL_SPAN = 10_000, 1_000
REMEMBERED: Final = 30_000
MAINTAIN_EVERY: Final = 5_000
MOST_LATE: Final = 1_000
FOR_EVER: Final = 10**15
DAY: Final = 86_400_000

LONGEST_RAMP: Final = 60_000
OF_THE_WAY: Final = ("unreachable", "gateway", "faulty")

Permit = tuple[str, int]
"""A permit: the job, and the lease of the step that it was granted with."""


def ms(seconds: float) -> int:
    return round(seconds * 1000)


@dataclass
class Pause:
    """A pause: nothing is sent until a time, and then one probe."""

    cause: str
    until: int
    length: int = 0
    probe: str | None = None
    check: int | None = None
    """The number of the balance check in progress."""
    probe_until: int = 0
    needs: int | None = None
    cleared: str | None = None
    met: str = ""
    """The job that has met the cause last."""
    sent: int = 0
    """The time at which the last request was sent that was refused for the cause."""

    @property
    def of_the_way(self) -> bool:
        return self.cause in OF_THE_WAY


@dataclass
class Ramp:
    """The requests that may be sent after a pause, until a whole quota was allowed."""

    left: int
    allowed: int
    until: int


@dataclass
class Account:
    """The expected state of the account. Its margins are 0; other tests cover the learning from a 429."""

    permits: dict[Permit, tuple[int, int]] = field(default_factory=dict)
    """The time at which each permit was granted or used, and the quota of the dispatcher that granted it."""
    reads: dict[Permit, int] = field(default_factory=dict)
    fastest: float | None = None
    maintained: int | None = None
    registered: Quota | None = None
    """The time of the last housekeeping; None before the first claim."""
    pause: Pause | None = None
    ramp: Ramp | None = None
    troubles: set[str] = field(default_factory=set)
    """The jobs that have met trouble on the way since the last acceptance."""
    checks: int = 0
    """The number of balance checks so far."""
    spent: Counter[int] = field(default_factory=Counter)
    """The spending by day, in millionths of a credit."""

    # Windows

    def register(self, now: int, quota: Quota) -> None:
        """A worker that claims with another quota registers first, which makes the housekeeping due."""
        if quota != self.registered:
            self.registered = quota
            due = now - MAINTAIN_EVERY
            self.maintained = due if self.maintained is None else min(self.maintained, due)

    def maintain(self, now: int) -> None:
        """Forget permits that no longer count, if the housekeeping is due."""
        if self.maintained is None or self.maintained > now - MAINTAIN_EVERY:
            return
        self.maintained = now
        self.permits = {
            step: permit for step, permit in self.permits.items() if permit[0] > now - SPAN - REMEMBERED
        }
        self.reads = {step: at for step, at in self.reads.items() if at > now - POLL_SPAN - REMEMBERED}

    def counted(self, now: int) -> int:
        return sum(at > now - SPAN for at, _ in self.permits.values())

    def free_reads(self, now: int, quota: Quota) -> int:
        return max(0, quota.polls - sum(at > now - POLL_SPAN for at in self.reads.values()))

    def move(self, permit: Permit, at: int) -> None:
        if permit in self.permits:
            self.permits[permit] = (at, self.permits[permit][1])

    def answered(self, now: int, sent: int, permit: Permit) -> None:
        """Move the permit to later, by the time that the exchange took longer than the fastest one."""
        took = max(0, now - sent)
        fastest = took if self.fastest is None else self.fastest
        self.fastest = took if took < fastest else fastest + (took - fastest) * 0.01
        self.move(permit, round(sent + min(took - self.fastest, MOST_LATE)))
        self.widen(now, 2)

    # The pause

    def opens(self, now: int) -> int | None:
        """The time at which a probe or a balance check is possible; None without a pause."""
        if self.pause and self.pause.cause == "by_hand" and self.pause.until <= now:
            self.pause = None
        if self.pause is None:
            return None
        return max(self.pause.until, self.pause.probe_until if self.pause.probe or self.pause.check else 0)

    def asks(self) -> bool:
        """True if a check of the balance comes before the probe."""
        return self.pause is not None and self.pause.needs is not None and not self.pause.cleared

    def holds_up(self, job_id: str) -> bool:
        return self.pause is not None and self.pause.probe != job_id

    def probe_with(self, job_id: str, until: int) -> None:
        if self.pause:
            self.pause.probe, self.pause.probe_until = job_id, until

    def check_with(self, number: int, until: int) -> None:
        if self.pause:
            self.pause.check, self.pause.probe_until = number, until

    def no_probe(self, job_id: str, again: int) -> None:
        if self.pause and self.pause.probe == job_id:
            self.pause.probe, self.pause.until = None, max(self.pause.until, again)

    def reopen(self, now: int, *, slowly: bool) -> None:
        assert self.pause
        if slowly and (self.pause.of_the_way or self.pause.cause == "maintenance"):
            self.ramp = Ramp(1, 1, now + LONGEST_RAMP)
        self.pause = None
        self.troubles.clear()

    def accepted(self, now: int, job_id: str, sent: int) -> None:
        """Handle an acceptance: the probe's, or that of a request sent after one that met maintenance."""
        if self.pause and self.pause.probe == job_id:
            self.reopen(now, slowly=True)
        elif self.pause and self.pause.cause in ("maintenance", "rate_limited") and sent > self.pause.sent:
            self.reopen(now, slowly=False)

    def probe_refused(self, job_id: str, now: int) -> bool:
        """Handle a probe that was refused for another cause, which says nothing about credits."""
        if self.pause is None or self.pause.probe != job_id:
            return False
        if self.pause.needs is not None or self.pause.cause == "key_capped":
            self.no_probe(job_id, now + self.pause.length)
        elif self.pause.cause == "faulty":
            self.no_probe(job_id, now)
        else:
            self.reopen(now, slowly=True)
            return True
        return False

    def close(self, now: int, why: Closing, job_id: str, needs: int, sent: int) -> bool:
        """Close the account after that job's answer; returns False if trouble of one job is not enough."""
        if why.after is not None:
            self.troubles.add(job_id)
            if len(self.troubles) < why.after and not self.pause and not self.ramps(now):
                return False
        length = ms(why.first)
        if old := self.pause:
            probed, left = old.probe == job_id, old.until - now
            self.no_probe(job_id, now)
            known = old.cause == why.cause or (old.of_the_way and why.cause in OF_THE_WAY)
            if old.cause == "by_hand" or (known and not probed) or (not known and left >= length):
                old.sent = max(old.sent, sent)
                return True
            if known:
                length = old.length if old.cleared == "person" else min(ms(why.longest), 2 * old.length)
        self.ramp = None
        self.pause = Pause(
            why.cause, now + length, length, needs=needs if why.credits else None, sent=sent, met=job_id
        )
        return True

    def no_trouble(self, now: int, job_id: str) -> None:
        """An attempt of that job was accepted, although its answer was trouble."""
        if job_id not in self.troubles:
            return
        self.troubles.remove(job_id)
        if self.pause and self.pause.of_the_way and (self.pause.met == job_id or not self.troubles):
            self.reopen(now, slowly=True)

    # The ramp

    def ramps(self, now: int) -> bool:
        return self.ramp is not None and now < self.ramp.until

    def widen(self, now: int, more: int) -> None:
        if self.ramp is None or not self.ramps(now):
            return
        assert self.registered
        if self.ramp.allowed + more >= 2 * self.registered.creates:
            self.ramp = None
        else:
            self.ramp = Ramp(self.ramp.left + more, self.ramp.allowed + more, now + LONGEST_RAMP)

    def granted(self, now: int) -> None:
        if self.ramp and self.ramps(now):
            self.ramp.left -= 1

    def give_permit_back(self, now: int, permit: Permit) -> None:
        if self.permits.pop(permit, None) and self.ramp and self.ramps(now):
            self.ramp.left += 1

    def close_by_hand(self, now: int, length: int | None) -> None:
        self.pause = Pause("by_hand", FOR_EVER if length is None else now + length)

    def resume(self, now: int) -> None:
        assert self.pause
        if self.pause.cause == "by_hand":
            self.pause = None
        else:
            self.pause.until, self.pause.cleared = now, "person"
            self.pause.probe = self.pause.check = None

    def balance(self, now: int, lease: int, amount: int, longest: int) -> bool:
        pause = self.pause
        if pause is None or pause.needs is None or pause.check != lease:
            return False
        pause.check = None
        if amount >= pause.needs or pause.length >= longest:
            pause.until, pause.cleared = now, "balance"
        else:
            pause.length = min(longest, 2 * pause.length)
            pause.until = now + pause.length
        return True
