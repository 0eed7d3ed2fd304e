"""What was spent: credits by day, account and lane, as ``lua/shared/money.lua`` books them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Final, Self

from limner.connection import store_errors
from limner.scripts import Scripts

KEEP_DAYS: Final = 400
"""For how many days spending is kept; ``KEEP_DAYS`` of ``lua/shared/money.lua``."""
_DAY: Final = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class DaySpend:
    """What was spent on a day, in credits, by when the fleet learned of it."""

    date: date
    """UTC."""
    spent: Decimal
    tasks: int
    """How many tasks of the provider were paid for."""
    by_account: Mapping[str, Decimal]
    by_lane: Mapping[str, Decimal]
    """Jobs without a lane are in none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What attempts may cost whose end is not known, in credits, at the prices known when they were sent."""

    held: Decimal
    """Of attempts that are being sent, in doubt, or generating; it counts against the caps."""
    doubtful: Decimal
    """Of attempts that nobody waits for any more; it counts against no cap, and may have been charged."""
    held_by_account: Mapping[str, Decimal]
    held_by_lane: Mapping[str, Decimal]
    doubtful_by_account: Mapping[str, Decimal]
    doubtful_by_lane: Mapping[str, Decimal]
    waiting: Mapping[str, int]
    """Jobs that wait for money, by the cap that has none left: ``day``, or ``lane:`` and its name."""

    @classmethod
    def from_hash(cls, fields: Mapping[str, str], waiting: Mapping[str, int]) -> Self:
        """The standing that Redis keeps so."""
        return cls(
            held=_credits(fields.get("held", "0")),
            doubtful=_credits(fields.get("doubtful", "0")),
            held_by_account=_split(fields, "held:account:"),
            held_by_lane=_split(fields, "held:lane:"),
            doubtful_by_account=_split(fields, "doubtful:account:"),
            doubtful_by_lane=_split(fields, "doubtful:lane:"),
            waiting=waiting,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """What was spent, and what may be still."""

    days: tuple[DaySpend, ...]
    """The oldest first, today (UTC) last; days without any are among them."""
    standing: Standing


class Spend(Scripts):
    """The books of the account group."""

    def spend(self, days: int) -> Spending:
        """The last ``days`` days, today included, and what is held and doubtful now."""
        with store_errors(self._redis):
            today = int((self._clock() if self._clock else self._redis.time()[0]) // _DAY)
            wanted = range(today - days + 1, today + 1)
            with self._redis.pipeline(transaction=False) as pipe:
                pipe.hgetall(self.prefix + "money:held")
                pipe.zrange(self.prefix + "parked", 0, -1)
                for day in wanted:
                    pipe.hgetall(f"{self.prefix}money:{day}")
                held, caps, *spent = pipe.execute()
                for cap in caps:
                    pipe.zcard(f"{self.prefix}parked:{cap}")
                counts = pipe.execute() if caps else []
        return Spending(
            days=tuple(_day(day, fields) for day, fields in zip(wanted, spent, strict=True)),
            standing=Standing.from_hash(held, dict(zip(caps, counts, strict=True))),
        )


def _day(number: int, fields: Mapping[str, str]) -> DaySpend:
    return DaySpend(
        date=datetime.fromtimestamp(number * _DAY, UTC).date(),
        spent=_credits(fields.get("spent", "0")),
        tasks=int(fields.get("tasks", 0)),
        by_account=_split(fields, "spent:account:"),
        by_lane=_split(fields, "spent:lane:"),
    )


def _split(fields: Mapping[str, str], start: str) -> dict[str, Decimal]:
    # What was held and is free again leaves a zero behind.
    return {
        name.removeprefix(start): _credits(amount)
        for name, amount in sorted(fields.items())
        if name.startswith(start) and int(amount)
    }


def _credits(millionths: str) -> Decimal:
    amount = Decimal(int(millionths)).scaleb(-6).normalize()
    # 100 and not 1E+2, which nobody expects in a table.
    return amount.quantize(Decimal(1)) if amount == amount.to_integral_value() else amount
