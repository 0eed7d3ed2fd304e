"""Encodes quotas, prices, caps and pauses for the scripts, in milliseconds and millionths of a credit."""

from dataclasses import asdict
from typing import Any

from limner.ledger.messages import Closing, Money, Quota, to_micro, to_ms
from limner.ledger.outcomes import OVER_BUDGET, TOO_DEAR


def of_quota(quota: Quota) -> dict[str, Any]:
    """Encode a quota."""
    return {
        **asdict(quota),
        "creates_span": to_ms(quota.creates_span),
        "polls_span": to_ms(quota.polls_span),
        "margin": to_ms(quota.margin),
    }


def of_prices(money: Money) -> dict[str, int] | None:
    """Encode the prices by rendering speed; None without prices."""
    return {speed: to_micro(price) for speed, price in money.prices.items()} or None


def of_caps(money: Money) -> dict[str, Any] | None:
    """Encode the caps; None without prices or caps."""
    caps = money.caps
    if not money.prices or caps is None or (caps.day is None and caps.lane is None and not caps.lanes):
        return None
    fields = {
        "day": None if caps.day is None else to_micro(caps.day),
        "lane": None if caps.lane is None else to_micro(caps.lane),
        "lanes": {lane: to_micro(cap) for lane, cap in caps.lanes.items()},
        "refuse": OVER_BUDGET if caps.refuse else None,
        "never": TOO_DEAR,
    }
    return {name: value for name, value in fields.items() if value is not None}


def of_closing(closing: Closing, error: Any) -> dict[str, Any]:
    """Encode a pause that the provider caused, with its error."""
    fields = {
        "cause": closing.cause,
        "base": to_ms(closing.first),
        "cap": to_ms(closing.longest),
        "least": to_ms(closing.at_least),
        "key": closing.key,
        "credits": closing.credits or None,
        "after": closing.after,
        "error": error,
    }
    return {name: value for name, value in fields.items() if value is not None}
