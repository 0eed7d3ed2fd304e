"""What was spent: credits by day, account and lane, as ``lua/parts/money.lua`` books them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Final, Self

from limner.layout.constants import DAY

_DAY: Final = DAY // 1000


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

    @classmethod
    def from_hash(cls, day: int, fields: Mapping[str, str]) -> Self:
        """The spending that Redis keeps of a day, counted from 1970."""
        return cls(
            date=datetime.fromtimestamp(day * _DAY, UTC).date(),
            spent=_credits(fields.get("spent", "0")),
            tasks=int(fields.get("tasks", 0)),
            by_account=_split(fields, "spent:account:"),
            by_lane=_split(fields, "spent:lane:"),
        )


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
