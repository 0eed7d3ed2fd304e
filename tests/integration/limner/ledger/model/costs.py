"""What a job of the model costs, in millionths of a credit."""

from collections.abc import Collection
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from limner.ledger import Money
from tests.integration.limner.ledger.model.account import DAY, Account

MONEY: Final = Money({"BALANCED": Decimal("3.5")})
COSTS: Final = {"fox": 3_500_000, "hen": 7_000_000}
REQUESTS: Final = {"fox": '{"prompt": "fox"}', "hen": '{"prompt": "hen", "num_images": 2}'}
"""Of one image, and of two."""


@dataclass
class Costly:
    """A job as it must be, with what its attempts may cost."""

    job_id: str
    digest: str
    account: Account
    kept: dict[int, int] = field(default_factory=dict)
    """By attempt, what is set aside for it."""
    dubious: dict[int, int] = field(default_factory=dict)
    """By attempt, what it may have cost, since nobody waits for its end any more."""

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
        """Nobody waits any more for what became of the other attempts."""
        for attempt in [attempt for attempt in self.kept if attempt not in waiting]:
            self.dubious[attempt] = self.kept.pop(attempt)
