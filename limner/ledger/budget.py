"""The budget: money spent and held, and the jobs that wait for money."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from limner.ledger.layout.constants import DAY
from limner.ledger.layout.keys import MONEY, MONEY_HELD, MONEY_LANES, OVER_BUDGET, OVER_BUDGET_OF
from limner.ledger.pieces import hashes, members
from limner.ledger.store import Store
from limner.spending import DaySpend, Spending, Standing


@dataclass(frozen=True, slots=True)
class Budget:
    """The accounting of an account group. Raises StoreUnavailable."""

    store: Store

    def spend(self, days: int) -> Spending:
        """The spending of the last ``days`` days, including today, and the money held and doubtful now."""
        prefix = self.store.prefix
        with self.store.client() as client:
            today = int(self.store.now(client.time()) * 1000 // DAY)
            wanted = range(today - days + 1, today + 1)
            keys = [MONEY_HELD(prefix)]
            keys += [key(prefix, day) for key in (MONEY, MONEY_LANES) for day in wanted]
            held, *spent = hashes(client, keys)
            waiting: dict[str, int] = {}
            with client.pipeline(transaction=False) as pipe:
                for piece in members(client, OVER_BUDGET(prefix)):
                    for cap, _ in piece:
                        pipe.zcard(OVER_BUDGET_OF(prefix, cap))
                    waiting.update(zip((cap for cap, _ in piece), pipe.execute(), strict=True))
        books = zip(wanted, spent[:days], spent[days:], strict=True)
        return Spending(
            days=tuple(_day(day, fields, lanes) for day, fields, lanes in books),
            standing=_standing(held, waiting),
        )


def _day(day: int, fields: Mapping[str, str], lanes: Mapping[str, str]) -> DaySpend:
    return DaySpend(
        date=datetime.fromtimestamp(day * DAY / 1000, UTC).date(),
        spent=_credits(fields.get("spent", "0")),
        tasks=int(fields.get("tasks", 0)),
        copied_objects=int(fields.get("copied_objects", 0)),
        copied_bytes=int(fields.get("copied_bytes", 0)),
        by_account=_split(fields, "spent:account:"),
        by_lane=_split(lanes, ""),
    )


def _standing(fields: Mapping[str, str], waiting: Mapping[str, int]) -> Standing:
    return Standing(
        held=_credits(fields.get("held", "0")),
        doubtful=_credits(fields.get("doubtful", "0")),
        held_by_account=_split(fields, "held:account:"),
        held_by_lane=_split(fields, "held:lane:"),
        doubtful_by_account=_split(fields, "doubtful:account:"),
        doubtful_by_lane=_split(fields, "doubtful:lane:"),
        waiting=waiting,
    )


def _split(fields: Mapping[str, str], start: str) -> dict[str, Decimal]:
    # Money that was held and released leaves a field with zero.
    return {
        name.removeprefix(start): _credits(amount)
        for name, amount in sorted(fields.items())
        if name.startswith(start) and int(amount)
    }


def _credits(millionths: str) -> Decimal:
    amount = Decimal(int(millionths)).scaleb(-6).normalize()
    # normalize() turns 100 into 1E+2, which is hard to read in a table.
    return amount.quantize(Decimal(1)) if amount == amount.to_integral_value() else amount
