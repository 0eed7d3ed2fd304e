"""Outcomes as the records keep them."""

import json
from decimal import Decimal

import pytest

from limner.errors import Expired, GenerationFailed, JobFailed, OverBudget
from limner.ledger.outcomes import EXPIRED, OVER_BUDGET, TOO_DEAR, failed, made


@pytest.mark.parametrize(("spent", "told"), [(Decimal("3.50"), "3.50"), (None, None)])
def test_credits_are_kept_as_the_provider_told_them(spent: Decimal | None, told: str | None) -> None:
    assert json.loads(made(("https://a", "https://b"), spent)) == {
        "urls": ["https://a", "https://b"],
        "credits": told,
    }


def test_an_error_is_read_again_as_it_was() -> None:
    error = GenerationFailed("It broke", {"code": "500"})
    again = JobFailed.from_json(json.loads(failed(error))["error"])
    assert (type(again), again.args) == (GenerationFailed, error.args)


@pytest.mark.parametrize(
    ("outcome", "kind"), [(EXPIRED, Expired), (OVER_BUDGET, OverBudget), (TOO_DEAR, OverBudget)]
)
def test_an_end_without_anybody_s_doing_costs_nothing(outcome: str, kind: type[JobFailed]) -> None:
    error = JobFailed.from_json(json.loads(outcome)["error"])
    assert type(error) is kind
    assert error.safe_to_resend
