"""How the accounts stand: their quotas, and what was learned about them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

from limner.connection import store_errors
from limner.forecast import Room
from limner.pauses import Pause
from limner.scripts import Milliseconds, Scripts, moment, to_ms

NO_WORKER: Final = "no_worker"
DESERTED: Final = 30.0
"""Seconds without a claim, which each worker makes every second, after which an account has no worker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountStatus:
    """An account as the fleet knows it. Times are UTC, by the Redis server's clock; durations in seconds."""

    account: str
    requests: int
    """How many requests the settings allow …"""
    seconds: float
    """… in a window of this length."""
    reads_per_second: float
    max_in_flight: int
    limit: int
    """How many requests in a window are left for the fleet: fewer than ``requests`` if somebody else spends
    of the same quota."""
    more_at: datetime | None
    """When a higher limit is tried again; None if it is ``requests``."""
    guard: float
    """By how much the window is widened, as learned."""
    used: int
    """Permits in the window now: requests sent in the last ``seconds`` + ``guard``, and those about to be."""
    next_permit_at: datetime
    """From when on the window has room; whatever a pause or the tasks in flight say."""
    in_flight: int
    waiting: int
    """Jobs in the common line, which any account may take: the same number at each account."""
    waiting_own: int
    """Jobs in line that name this account."""
    looks_waiting: int
    """Jobs whose status is to be read as soon as the reads allow."""
    pause: Pause | None
    claimed_at: datetime | None
    """When a worker last asked for this account's work, to within 5 s; None if only older versions did."""
    deserted: bool
    """No worker asks for its work any more: none is running, or none has this account in its settings."""


@dataclass(frozen=True, slots=True)
class _Limits:
    """An account's hash of limits. Durations are in milliseconds, as they are kept."""

    name: str
    creates: int
    span: float
    reads: float
    max_in_flight: int
    limit: int
    guard: float
    raise_at: float | None
    claimed: float | None
    pause: Mapping[str, str]

    @classmethod
    def of(cls, name: str, fields: Mapping[str, str], pause: Mapping[str, str]) -> Self:
        creates = int(fields["creates"])
        limit = min(int(float(fields.get("limit", creates))), creates)
        return cls(
            name=name,
            creates=creates,
            span=float(fields["creates_span"]),
            reads=int(fields["looks"]) * 1000 / float(fields["looks_span"]),
            max_in_flight=int(fields["max_in_flight"]),
            limit=limit,
            guard=float(fields.get("guard", fields["first_guard"])),
            raise_at=float(fields["raise_at"]) if limit < creates and "raise_at" in fields else None,
            claimed=float(fields["claimed"]) if "claimed" in fields else None,
            pause=pause,
        )

    def deserted(self, now: Milliseconds) -> bool:
        return self.claimed is not None and now - self.claimed > to_ms(DESERTED)

    def edge(self, now: Milliseconds) -> str:
        """From when on permits count, as an open end of a range."""
        return f"({now - self.span - self.guard:.0f}"


class Accounts(Scripts):
    """The accounts that workers have spoken for."""

    def account_names(self) -> list[str]:
        """The names of the accounts, in order; empty before the first worker has started."""
        with store_errors(self._redis):
            return sorted(self._redis.smembers(self.prefix + "accounts"))

    def in_flight(self) -> int:
        """How many tasks all accounts have at the provider."""
        names = self.account_names()
        with store_errors(self._redis), self._redis.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.zcard(f"{self.prefix}in-flight:{name}")
            return sum(pipe.execute())

    def accounts(self) -> list[AccountStatus]:
        """How each account stands, by name. Three round trips, however many there are."""
        now, limits = self._limits()
        if not limits:
            return []
        with store_errors(self._redis), self._redis.pipeline(transaction=False) as pipe:
            pipe.zcard(self.prefix + "line:create")
            for each in limits:
                pipe.zrangebyscore(
                    self.prefix + "window:create:" + each.name, each.edge(now), "+inf", withscores=True
                )
                pipe.zcard(self.prefix + "in-flight:" + each.name)
                pipe.zcard(self.prefix + "line:create:" + each.name)
                pipe.zcard(self.prefix + "line:look:" + each.name)
            common, *answers = pipe.execute()
        return [
            _status(each, now, common, *answers[at : at + 4])
            for each, at in zip(limits, range(0, len(answers), 4), strict=True)
        ]

    def rooms(self, score: float) -> tuple[float, list[Room]]:
        """The server's time, in seconds since the epoch, and what each account has left for a job with that
        turn.

        Of equal turns, that of a job which names an account comes first.
        """
        now, limits = self._limits()
        with store_errors(self._redis), self._redis.pipeline(transaction=False) as pipe:
            for each in limits:
                pipe.zrangebyscore(
                    self.prefix + "window:create:" + each.name, each.edge(now), "+inf", withscores=True
                )
                pipe.zcard(self.prefix + "in-flight:" + each.name)
                pipe.zcount(self.prefix + "line:create:" + each.name, "-inf", f"{score:.0f}")
            answers = pipe.execute() if limits else []
        return now / 1000, [
            _room(each, now, *answers[at : at + 3])
            for each, at in zip(limits, range(0, len(answers), 3), strict=True)
        ]

    def _limits(self) -> tuple[Milliseconds, list[_Limits]]:
        with store_errors(self._redis), self._redis.pipeline(transaction=False) as pipe:
            pipe.smembers(self.prefix + "accounts")
            pipe.time()
            names, (seconds, microseconds) = pipe.execute()
        now = to_ms(self._clock() if self._clock else seconds + microseconds / 1e6)
        with store_errors(self._redis), self._redis.pipeline(transaction=False) as pipe:
            for name in sorted(names):
                pipe.hgetall(self.prefix + "quota:" + name)
                pipe.hgetall(self.prefix + "pause:" + name)
            answers = pipe.execute() if names else []
        found = zip(sorted(names), answers[::2], answers[1::2], strict=True)
        return now, [_Limits.of(name, quota, pause) for name, quota, pause in found if quota]


def _status(
    limits: _Limits,
    now: Milliseconds,
    common: int,
    window: list[tuple[str, float]],
    in_flight: int,
    own: int,
    looks: int,
) -> AccountStatus:
    times = [at for _, at in window]
    free_at = times[-limits.limit] + limits.span + limits.guard + 1 if len(times) >= limits.limit else now
    return AccountStatus(
        account=limits.name,
        requests=limits.creates,
        seconds=limits.span / 1000,
        reads_per_second=limits.reads,
        max_in_flight=limits.max_in_flight,
        limit=limits.limit,
        more_at=None if limits.raise_at is None else moment(round(limits.raise_at)),
        guard=limits.guard / 1000,
        used=len(times),
        next_permit_at=moment(round(free_at)),
        in_flight=in_flight,
        waiting=common,
        waiting_own=own,
        looks_waiting=looks,
        pause=Pause.from_hash(limits.pause, now),
        claimed_at=None if limits.claimed is None else moment(round(limits.claimed)),
        deserted=limits.deserted(now),
    )


def _room(
    limits: _Limits, now: Milliseconds, window: list[tuple[str, float]], in_flight: int, ahead: int
) -> Room:
    pause = Pause.from_hash(limits.pause, now)
    opens, closed = 0.0, pause.cause if pause else None
    if limits.deserted(now):
        opens, closed = float("inf"), NO_WORKER
    elif pause:
        opens = float("inf") if pause.until is None else pause.until.timestamp()
    return Room(
        account=limits.name,
        limit=limits.limit,
        window=(limits.span + limits.guard) / 1000,
        taken=tuple(at / 1000 for _, at in window),
        max_in_flight=limits.max_in_flight,
        in_flight=in_flight,
        ahead=ahead,
        opens=opens,
        closed=closed,
    )
