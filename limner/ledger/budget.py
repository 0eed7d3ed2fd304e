"""The budget: what was spent, what is held, and who waits for money."""

from dataclasses import dataclass

from limner.layout.constants import DAY
from limner.layout.keys import MONEY, MONEY_HELD, PARKED, PARKED_FOR
from limner.ledger.store import Store
from limner.spending import DaySpend, Spending, Standing


@dataclass(frozen=True, slots=True)
class Budget:
    """The books of the account group. Raises StoreUnavailable."""

    store: Store

    def spend(self, days: int) -> Spending:
        """The last ``days`` days, today included, and what is held and doubtful now."""
        prefix = self.store.prefix
        with self.store.client() as client:
            today = int(self.store.now(client.time()) * 1000 // DAY)
            wanted = range(today - days + 1, today + 1)
            with client.pipeline(transaction=False) as pipe:
                pipe.hgetall(MONEY_HELD(prefix))
                pipe.zrange(PARKED(prefix), 0, -1)
                for day in wanted:
                    pipe.hgetall(MONEY(prefix, day))
                held, caps, *spent = pipe.execute()
                for cap in caps:
                    pipe.zcard(PARKED_FOR(prefix, cap))
                counts = pipe.execute() if caps else []
        return Spending(
            days=tuple(DaySpend.from_hash(day, fields) for day, fields in zip(wanted, spent, strict=True)),
            standing=Standing.from_hash(held, dict(zip(caps, counts, strict=True))),
        )
