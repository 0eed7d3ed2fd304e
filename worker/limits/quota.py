"""Quotas, prices and caps from the settings, for the dispatcher's claims."""

import hashlib

from config import AccountSettings, Settings
from limner.ledger import Caps, Money, Quota
from provider import PRICES


def quotas(settings: Settings) -> tuple[Quota, ...]:
    """The quota of each account: a window of attempts, a window of reads, and a cap on tasks in flight."""
    return tuple(_quota(name, account, settings) for name, account in settings.all_accounts().items())


def _quota(name: str, account: AccountSettings, settings: Settings) -> Quota:
    return Quota(
        creates=account.rate_requests,
        creates_span=account.rate_seconds,
        polls=account.reads_per_second,
        polls_span=1.0,
        max_in_flight=account.max_in_flight,
        margin=settings.rate_margin_seconds,
        account=name,
        key=key_name(account.api_key.get_secret_value()),
    )


def key_name(api_key: str) -> str:
    """A name that distinguishes a key without revealing it: 64 bits of its SHA-256."""
    return hashlib.sha256(b"limner account key:" + api_key.encode()).hexdigest()[:16]


def money(settings: Settings) -> Money:
    """The expected cost of attempts, and the caps on a day's spending."""
    caps = Caps(
        day=settings.credits_per_day,
        lane=settings.credits_per_lane_day.get(EVERY_LANE),
        lanes={lane: cap for lane, cap in settings.credits_per_lane_day.items() if lane != EVERY_LANE},
        refuse=settings.over_budget == "refuse",
    )
    return Money(prices={str(speed): price for speed, price in PRICES.credits_per_image.items()}, caps=caps)


EVERY_LANE = "*"
"""The name in LIMNER_CREDITS_PER_LANE_DAY that stands for every lane without an entry of its own."""
