"""The ledger's terms in the scripts' units."""

from decimal import Decimal

import pytest

from limner.ledger.messages import FREE, Caps, Closing, Money, Quota
from limner.ledger.outcomes import OVER_BUDGET, TOO_DEAR
from limner.ledger.scripts.encoding import of_caps, of_closing, of_prices, of_quota

PRICES = {"TURBO": Decimal("3.5")}


def test_the_spans_of_a_quota_are_milliseconds() -> None:
    assert of_quota(Quota(20, 10.0, 8, 1.5, 100, margin=0.25, account="north", key="k1")) == {
        "creates": 20,
        "creates_span": 10_000,
        "polls": 8,
        "polls_span": 1500,
        "max_in_flight": 100,
        "margin": 250,
        "account": "north",
        "key": "k1",
    }


def test_prices_are_millionths_and_none_if_all_is_free() -> None:
    assert of_prices(Money(PRICES)) == {"TURBO": 3_500_000}
    assert of_prices(FREE) is None


@pytest.mark.parametrize(
    "money", [Money(PRICES), Money(PRICES, Caps()), Money({}, Caps(day=Decimal(1)))], ids=str
)
def test_there_are_no_caps_without_prices_or_without_a_limit(money: Money) -> None:
    assert of_caps(money) is None


def test_a_cap_that_is_not_set_is_not_told() -> None:
    assert of_caps(Money(PRICES, Caps(day=Decimal(10)))) == {
        "day": 10_000_000,
        "lanes": {},
        "never": TOO_DEAR,
    }


def test_a_cap_that_refuses_has_the_end_of_the_job_with_it() -> None:
    caps = Caps(lane=Decimal(1), lanes={"vip": Decimal("0.5")}, refuse=True)
    assert of_caps(Money(PRICES, caps)) == {
        "lane": 1_000_000,
        "lanes": {"vip": 500_000},
        "refuse": OVER_BUDGET,
        "never": TOO_DEAR,
    }


def test_a_pause_tells_what_ends_it_and_nothing_that_does_not_apply() -> None:
    briefly = {"cause": "rate_limited", "base": 1000, "cap": 60_000, "least": 0}
    assert of_closing(Closing("rate_limited", 1.0, 60.0), None) == briefly
    refused = Closing("unauthorized", 1.0, 60.0, at_least=2.5, key="k1", credits=True)
    assert of_closing(refused, {"code": 401}) == {
        **briefly,
        "cause": "unauthorized",
        "least": 2500,
        "key": "k1",
        "credits": True,
        "error": {"code": 401},
    }
