"""Credits spent, by day, account and lane."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

KEEP_DAYS: Final = 400
"""Days for which spending is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DaySpend:
    """The credits spent on a day, booked at the time at which the fleet learned of them."""

    date: date
    """UTC."""
    spent: Decimal
    tasks: int
    """The number of the provider's tasks that were paid for."""
    copied_objects: int
    """The number of images and thumbnails that were stored."""
    copied_bytes: int
    by_account: Mapping[str, Decimal]
    by_lane: Mapping[str, Decimal]
    """Jobs without a lane are in none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The possible cost of attempts whose end is unknown, in credits, at the prices when they were sent."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """The credits spent, and those that may still be."""

    days: tuple[DaySpend, ...]
    """The oldest first, today (UTC) last; days without any are among them."""
    standing: Standing
