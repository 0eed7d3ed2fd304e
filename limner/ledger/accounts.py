"""The accounts: their quotas, what was learned about the quotas, and their pauses."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar, Final, Self

from limner.accounts import AccountStatus
from limner.ledger.forecast import Capacity
from limner.ledger.layout.keys import (
    ACCOUNTS,
    IN_FLIGHT,
    PAUSE,
    QUOTA,
    READY,
    READY_OF,
    READY_POLLS,
    REGISTRATION,
    REGISTRATIONS,
    WINDOW_CREATE,
)
from limner.ledger.messages import Closing, Milliseconds, moment, to_micro, to_ms
from limner.ledger.pauses import pause_of
from limner.ledger.scripts.encoding import of_closing
from limner.ledger.scripts.script import Json, YesOrNo
from limner.ledger.store import Reading, Store

NO_WORKER: Final = "no_worker"
DESERTED: Final = 30.0
"""Seconds without a claim after which an account counts as having no worker. A worker claims every second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedByHand(YesOrNo):
    """The call that pauses an account by hand."""

    NAME: ClassVar[str] = "pause"
    account: str
    length: Milliseconds | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Close(YesOrNo):
    """The call that pauses an account for a trouble that a worker has met without a job."""

    NAME: ClassVar[str] = "close"
    account: str
    why: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume(YesOrNo):
    """The call that ends a pause on a person's word."""

    NAME: ClassVar[str] = "resume"
    account: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceRead(YesOrNo):
    """The call that reports the balance of a paused account."""

    NAME: ClassVar[str] = "balance_read"
    account: str
    lease: int
    credits: int | None
    cap: Milliseconds
    error: str | None


@dataclass(frozen=True, slots=True)
class _Limits:
    """An account's hash of limits. Durations are in milliseconds, as they are kept."""

    name: str
    creates: int
    span: float
    reads: float
    max_in_flight: int
    limit: int
    flight: int
    margin: float
    raise_at: float | None
    claimed: float | None
    """The last claim of a worker that serves the account."""
    pause: Mapping[str, str]

    @classmethod
    def of(
        cls, name: str, fields: Mapping[str, str], pause: Mapping[str, str], claimed: float | None
    ) -> Self:
        creates = int(fields["creates"])
        limit = min(int(float(fields.get("limit", creates))), creates)
        most = int(fields["max_in_flight"])
        return cls(
            name=name,
            creates=creates,
            span=float(fields["creates_span"]),
            reads=int(fields["polls"]) * 1000 / float(fields["polls_span"]),
            max_in_flight=most,
            limit=limit,
            flight=min(int(float(fields.get("flight", most))), most),
            margin=float(fields.get("margin", fields["first_margin"])),
            raise_at=float(fields["raise_at"]) if limit < creates and "raise_at" in fields else None,
            claimed=claimed,
            pause=pause,
        )

    def deserted(self, now: Milliseconds) -> bool:
        return self.claimed is None or now - self.claimed > to_ms(DESERTED)

    def edge(self, now: Milliseconds) -> str:
        """The open lower bound of permits that count."""
        return f"({now - self.span - self.margin:.0f}"


@dataclass(frozen=True, slots=True)
class Accounts:
    """The accounts that workers have served. Raises StoreUnavailable."""

    store: Store

    # State

    def names(self) -> list[str]:
        """The sorted names of the accounts; empty before the first worker has started."""
        with self.store.client() as client:
            return sorted(client.smembers(ACCOUNTS(self.store.prefix)))

    def in_flight(self) -> int:
        """The number of tasks in flight on all accounts together."""
        names = self.names()
        with self.store.pipeline() as pipe:
            for name in names:
                pipe.zcard(IN_FLIGHT(self.store.prefix, name))
            return sum(pipe.execute())

    def statuses(self) -> list[AccountStatus]:
        """The statuses of all accounts, sorted by name, in a fixed number of round trips."""
        return self.store.ask(self.reading())

    def reading(self) -> Reading[list[AccountStatus]]:
        """The statuses of all accounts as a reading."""
        now, limits = yield from self._limits()
        if not limits:
            return []
        prefix = self.store.prefix

        def of_each(pipe: Any) -> None:
            pipe.zcard(READY(prefix))
            for each in limits:
                pipe.zrangebyscore(WINDOW_CREATE(prefix, each.name), each.edge(now), "+inf", withscores=True)
                pipe.zcard(IN_FLIGHT(prefix, each.name))
                pipe.zcard(READY_OF(prefix, each.name))
                pipe.zcard(READY_POLLS(prefix, each.name))

        common, *answers = yield of_each
        return [
            _status(each, now, common, *answers[at : at + 4])
            for each, at in zip(limits, range(0, len(answers), 4), strict=True)
        ]

    def capacities(self, score: float) -> Reading[tuple[float, list[Capacity]]]:
        """The server's time (seconds since the epoch), and the accounts' capacities for a job of that score.

        Jobs with an equal score that name an account count as ahead of it.
        """
        now, limits = yield from self._limits()
        prefix = self.store.prefix

        def of_each(pipe: Any) -> None:
            for each in limits:
                pipe.zrangebyscore(WINDOW_CREATE(prefix, each.name), each.edge(now), "+inf", withscores=True)
                pipe.zcard(IN_FLIGHT(prefix, each.name))
                pipe.zcount(READY_OF(prefix, each.name), "-inf", f"{score:.0f}")

        answers = (yield of_each) if limits else []
        return now / 1000, [
            _capacity(each, now, *answers[at : at + 3])
            for each, at in zip(limits, range(0, len(answers), 3), strict=True)
        ]

    def _limits(self) -> Reading[tuple[Milliseconds, list[_Limits]]]:
        prefix = self.store.prefix
        found, registrations, time = yield lambda pipe: (
            pipe.smembers(ACCOUNTS(prefix)),
            pipe.zrange(REGISTRATIONS(prefix), 0, -1, withscores=True),
            pipe.time(),
        )
        names = sorted(found)

        def of_each(pipe: Any) -> None:
            for name in names:
                pipe.hgetall(QUOTA(prefix, name))
                pipe.hgetall(PAUSE(prefix, name))
            for registration, _ in registrations:
                pipe.hkeys(REGISTRATION(prefix, registration))

        answers = (yield of_each) if names else []
        # The latest claim comes last.
        claimed = {
            name: at
            for (_, at), served in zip(registrations, answers[2 * len(names) :], strict=False)
            for name in served
        }
        hashes = zip(names, answers[: 2 * len(names) : 2], answers[1 : 2 * len(names) : 2], strict=True)
        limits = [_Limits.of(name, quota, pause, claimed.get(name)) for name, quota, pause in hashes if quota]
        return to_ms(self.store.now(time)), limits

    # Pauses without a job, and the end of pauses

    def close(self, account: str, closing: Closing, error: Mapping[str, Any]) -> bool:
        """Pause an account for a trouble met without a job; returns False if it is paused already.

        ``error`` is the answer that showed the trouble: ``cause``, ``code``, ``http_status``, ``message``.
        """
        return self.store.run(Close(account=account, why=of_closing(closing, dict(error))))

    def pause(self, account: str, *, seconds: float | None = None, reason: str = "") -> None:
        """Pause an account for ``seconds``, or until somebody resumes it."""
        length = None if seconds is None else to_ms(seconds)
        self.store.run(ClosedByHand(account=account, length=length, reason=reason))

    def resume(self, account: str) -> bool:
        """End the account's pause; returns False if there is none.

        After a pause by hand, all jobs continue at once. After any other pause, they continue once the
        provider has accepted one request.
        """
        return self.store.run(Resume(account=account))

    def balance_read(
        self, account: str, lease: int, balance: Decimal | None, *, longest: float, error: str = ""
    ) -> bool:
        """Report the balance of a paused account; None with an ``error`` if it cannot be read.

        If the balance does not show that the cause of the pause is gone, the pause continues, twice as long,
        for ``longest`` seconds at most. After one of that length a probe is sent whatever the balance is.
        """
        return self.store.run(
            BalanceRead(
                account=account,
                lease=lease,
                credits=None if balance is None else to_micro(balance),
                cap=to_ms(longest),
                error=error or None,
            )
        )


def _status(
    limits: _Limits,
    now: Milliseconds,
    common: int,
    window: list[tuple[str, float]],
    in_flight: int,
    own: int,
    polls: int,
) -> AccountStatus:
    times = [at for _, at in window]
    free_at = times[-limits.limit] + limits.span + limits.margin + 1 if len(times) >= limits.limit else now
    return AccountStatus(
        account=limits.name,
        requests=limits.creates,
        seconds=limits.span / 1000,
        reads_per_second=limits.reads,
        max_in_flight=limits.max_in_flight,
        limit=limits.limit,
        in_flight_limit=limits.flight,
        more_at=None if limits.raise_at is None else moment(round(limits.raise_at)),
        margin=limits.margin / 1000,
        used=len(times),
        next_permit_at=moment(round(free_at)),
        in_flight=in_flight,
        waiting=common,
        waiting_own=own,
        polls_waiting=polls,
        pause=pause_of(limits.pause, now),
        claimed_at=None if limits.claimed is None else moment(round(limits.claimed)),
        deserted=limits.deserted(now),
    )


def _capacity(
    limits: _Limits, now: Milliseconds, window: list[tuple[str, float]], in_flight: int, ahead: int
) -> Capacity:
    pause = pause_of(limits.pause, now)
    opens, closed = 0.0, pause.cause if pause else None
    if limits.deserted(now):
        opens, closed = float("inf"), NO_WORKER
    elif pause:
        opens = float("inf") if pause.until is None else pause.until.timestamp()
    return Capacity(
        account=limits.name,
        limit=limits.limit,
        window=(limits.span + limits.margin) / 1000,
        taken=tuple(at / 1000 for _, at in window),
        max_in_flight=limits.flight,
        in_flight=in_flight,
        ahead=ahead,
        opens=opens,
        closed=closed,
    )
