"""The terms of the ledger as its scripts take them: milliseconds, and millionths of a credit."""

from dataclasses import asdict
from typing import Any

from limner.errors import OverBudget
from limner.scripts import to_micro, to_ms
from limner.terms import Closing, Money, Quota

OVER_BUDGET = OverBudget("It would have broken a cap on what may be spent on a day")
TOO_DEAR = OverBudget("It costs more than may be spent on a whole day, in all or on its lane")


def of_quota(quota: Quota) -> dict[str, Any]:
    """What an account allows."""
    return {
        **asdict(quota),
        "creates_span": to_ms(quota.creates_span),
        "looks_span": to_ms(quota.looks_span),
        "guard": to_ms(quota.guard),
    }


def of_money(money: Money) -> dict[str, Any]:
    """The prices and caps; nothing without prices."""
    if not money.prices:
        return {}
    caps = money.caps
    told = caps and {
        "day": None if caps.day is None else to_micro(caps.day),
        "lane": None if caps.lane is None else to_micro(caps.lane),
        "lanes": {lane: to_micro(cap) for lane, cap in caps.lanes.items()},
        "refuse": OVER_BUDGET.to_json() if caps.refuse else None,
        "never": TOO_DEAR.to_json(),
    }
    return {
        "prices": {speed: to_micro(price) for speed, price in money.prices.items()},
        "caps": told and {name: value for name, value in told.items() if value is not None},
    }


def of_closing(closing: Closing) -> dict[str, Any]:
    """Why an account is closed, and for how long."""
    told = {
        "cause": closing.cause,
        "base": to_ms(closing.first),
        "cap": to_ms(closing.longest),
        "least": to_ms(closing.at_least),
        "key": closing.key,
        "credits": closing.credits or None,
    }
    return {name: value for name, value in told.items() if value is not None}
