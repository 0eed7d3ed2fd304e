"""The poll policy that follows the provider's advice."""

import pytest

from worker.polling.policies import ProviderAdvice


@pytest.mark.parametrize(
    ("age", "pause"), [(0, 2.5), (29.9, 2.5), (30, 7), (119, 7), (120, 20), (100_000, 20)]
)
def test_intervals_grow_with_age(age: float, pause: float) -> None:
    assert ProviderAdvice().next_poll(age) == pause
