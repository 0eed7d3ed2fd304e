"""The quotas, prices and caps that follow from the settings."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from config import Settings
from limner.ledger import Caps, Quota
from provider import PRICES
from worker.limits.quota import key_name, money, quotas


@pytest.fixture(autouse=True)
def _nothing_around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NORTH_KEY", "k1")
    monkeypatch.setenv("SOUTH_KEY", "k2")


def settings(**given: Any) -> Settings:
    return Settings(redis_url="redis://127.0.0.1:1/0", **given)


def test_the_one_account_has_the_limits_of_the_settings() -> None:
    one = settings(api_key="k1", rate_requests=5, rate_seconds=2, reads_per_second=3, rate_margin_seconds=0.5)
    assert quotas(one) == (Quota(5, 2.0, 3, 1.0, 100, margin=0.5, account="main", key=key_name("k1")),)


def test_an_account_has_its_own_limits_where_it_names_them() -> None:
    accounts = {"north": {"key": "env:NORTH_KEY", "max_in_flight": 7}, "south": {"key": "env:SOUTH_KEY"}}
    told = {quota.account: quota.max_in_flight for quota in quotas(settings(accounts=accounts))}
    assert told == {"north": 7, "south": 100}


def test_the_name_of_a_key_tells_it_from_another_and_not_what_it_is() -> None:
    assert key_name("kie-secret") == key_name("kie-secret") != key_name("kie-secret ")
    assert len(key_name("kie-secret")) == 16
    assert "secret" not in key_name("kie-secret")


def test_prices_are_those_of_the_provider() -> None:
    assert money(settings()).prices == PRICES.credits_per_image


def test_a_star_is_the_cap_of_each_lane_that_has_none_of_its_own() -> None:
    caps = money(settings(credits_per_lane_day={"*": 5, "vip": 50}, credits_per_day=100)).caps
    assert caps == Caps(day=Decimal(100), lane=Decimal(5), lanes={"vip": Decimal(50)}, refuse=False)


def test_a_job_over_a_cap_is_refused_only_if_the_settings_say_so() -> None:
    caps = money(settings(over_budget="refuse")).caps
    assert caps is not None
    assert caps.refuse
