"""What the accounts allow, and what may be spent, as the dispatcher claims it."""

import hashlib

from config import AccountSettings, Settings
from limner.ledger import Caps, Money, Quota
from provider import PRICES


def quotas(settings: Settings) -> tuple[Quota, ...]:
    """Each account's: an exact window of attempts, a window of reads and a cap on tasks in flight."""
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
    """Tells one key from another without telling the key: 64 bits of its SHA-256."""
    return hashlib.sha256(b"limner account key:" + api_key.encode()).hexdigest()[:16]


def money(settings: Settings) -> Money:
    """What attempts are expected to cost, and the caps on what is spent on a day."""
    caps = Caps(
        day=settings.credits_per_day,
        lane=settings.credits_per_lane_day.get(EVERY_LANE),
        lanes={lane: cap for lane, cap in settings.credits_per_lane_day.items() if lane != EVERY_LANE},
        refuse=settings.over_budget == "refuse",
    )
    return Money(prices={str(speed): price for speed, price in PRICES.credits_per_image.items()}, caps=caps)


EVERY_LANE = "*"
"""In LIMNER_CREDITS_PER_LANE_DAY, each lane that is not named."""
