"""Numbers, sums and times from outside, within their bounds."""

from decimal import Decimal

import pytest

from provider.numbers import read_balance, read_decimal, read_integer, read_spent, read_time, read_times

CREATED, COMPLETED = 1767225600000, 1767225611480


@pytest.mark.parametrize("value", [10**15, "9" * 16, Decimal("1e999999"), Decimal("NaN"), True, "1e3", -1])
def test_what_is_no_whole_number_of_fifteen_digits_is_none(value: object) -> None:
    assert read_integer(value) is None


@pytest.mark.parametrize(
    ("value", "amount"),
    [
        (7, Decimal(7)),
        ("3.5", Decimal("3.5")),
        (Decimal("0.12345678"), Decimal("0.123457")),
        ("-2", Decimal(-2)),
        ("1,000.50", Decimal("1000.5")),
        ("1 234 567", Decimal(1234567)),
        (" 1\u00a0000.5 ", Decimal("1000.5")),
        ("1,00.5", None),
        ("1,000 000", None),
        ("1.000,5", None),
        ("1,000,000,000,000", None),
        (1_000_000_000, None),
        (Decimal("1e999999"), None),
        (Decimal("Infinity"), None),
        ("1e3", None),
        (True, None),
        (None, None),
    ],
)
def test_credits_are_exact_to_six_places_and_no_sum_that_nobody_has(
    value: object, amount: Decimal | None
) -> None:
    assert read_decimal(value) == amount


@pytest.mark.parametrize(
    ("data", "balance"),
    [
        (5, Decimal(5)),
        ({"credits": 5}, Decimal(5)),
        ({"balance": "1,005"}, Decimal(1005)),
        ({"left": 5}, None),
        ({"credits": {}}, None),
        ([5], None),
        (None, None),
    ],
)
def test_a_balance_is_a_number_or_an_object_that_names_it(data: object, balance: Decimal | None) -> None:
    assert read_balance(data) == balance


@pytest.mark.parametrize(
    ("data", "spent"),
    [
        ({"creditsConsumed": Decimal("3.5")}, Decimal("3.5")),
        ({"creditsConsumed": "10.25"}, Decimal("10.25")),
        ({"consumeCredits": 4}, Decimal(4)),
        ({"creditsConsumed": None, "consumeCredits": 4}, Decimal(4)),
        ({"creditsConsumed": 0}, Decimal(0)),
        ({"creditsConsumed": 100_000}, Decimal(100_000)),
        ({"creditsConsumed": 100_001}, None),
        ({"creditsConsumed": 10**13}, None),
        ({"creditsConsumed": -1}, None),
        ({}, None),
    ],
)
def test_a_task_s_credits_are_exact_or_unknown(data: dict[str, object], spent: Decimal | None) -> None:
    assert read_spent(data) == spent


@pytest.mark.parametrize(
    ("value", "ms"),
    [
        (CREATED, CREATED),
        (str(CREATED), CREATED),
        (1767225600, CREATED),
        ("1767225600", CREATED),
        (Decimal("1767225600.25"), CREATED + 250),
        ("2026-01-01T00:00:00Z", CREATED),
        ("2026-01-01T08:00:00+08:00", CREATED),
        ("2026-01-01 00:00:00", CREATED),
        ("2019-01-01T00:00:00Z", None),
        (1_500_000_000_000, None),
        (4_200_000_000_000, None),
        (0, None),
        (-5, None),
        (Decimal("1.5"), None),
        (10**30, None),
        ("9999-12-31T23:59:59-23:59", None),
        ("soon", None),
        (True, None),
        ({}, None),
        (None, None),
    ],
)
def test_a_time_is_read_in_any_unit_and_only_if_it_is_plausible(value: object, ms: int | None) -> None:
    assert read_time(value) == ms


@pytest.mark.parametrize(
    ("created", "completed", "times"),
    [
        (CREATED, COMPLETED, (CREATED, COMPLETED)),
        (CREATED, CREATED, (CREATED, CREATED)),
        (CREATED, None, (CREATED, None)),
        (None, COMPLETED, (None, COMPLETED)),
        (COMPLETED, CREATED, (None, None)),
    ],
)
def test_an_end_before_the_beginning_makes_both_unknown(
    created: object, completed: object, times: tuple[int | None, int | None]
) -> None:
    assert read_times({"createTime": created, "completeTime": completed}) == times
