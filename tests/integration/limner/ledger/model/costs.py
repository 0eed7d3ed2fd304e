"""The costs of a job of the model, in millionths of a credit."""

from collections.abc import Collection
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from limner.ledger import Money
from tests.integration.limner.ledger.model.account import DAY, Account

MONEY: Final = Money({"BALANCED": Decimal("3.5")})
COSTS: Final = {"fox": 3_500_000, "hen": 7_000_000}
REQUESTS: Final = {"fox": '{"prompt": "fox"}', "hen": '{"prompt": "hen", "num_images": 2}'}
"""The expected costs of one image and of two."""


@dataclass
class Costly:
    """The expected state of a job with the costs of its attempts."""

    job_id: str
    digest: str
    account: Account
    kept: dict[int, int] = field(default_factory=dict)
    """The held amount by attempt."""
    dubious: dict[int, int] = field(default_factory=dict)
    """The doubtful amount by attempt, for attempts whose end nobody waits for."""

    @property
    def cost(self) -> int:
        return COSTS[self.digest]

    def release(self, attempt: int) -> int | None:
        held = self.kept.pop(attempt, None)
        return self.dubious.pop(attempt, None) if held is None else held

    def hold_again(self, attempt: int) -> None:
        if attempt not in self.kept and attempt not in self.dubious:
            self.kept[attempt] = self.cost

    def spend(self, now: int, attempt: int, told: str | None) -> None:
        held = self.release(attempt)
        expected = self.cost if held is None else held
        self.account.spent[now // DAY] += expected if told is None else int(Decimal(told) * 1_000_000)

    def leave_doubtful(self, waiting: Collection[int]) -> None:
        """Make the held amounts of all attempts doubtful, except those of ``waiting``."""
        for attempt in [attempt for attempt in self.kept if attempt not in waiting]:
            self.dubious[attempt] = self.kept.pop(attempt)
