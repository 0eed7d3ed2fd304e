"""The Redis of a command."""

import pytest

from limner.cli.session import checked_url
from limner.errors import ConfigurationError


@pytest.mark.parametrize("url", [None, "", "  "])
def test_without_a_url_both_ways_to_give_it_are_named(url: str | None) -> None:
    with pytest.raises(ConfigurationError, match="LIMNER_REDIS_URL: not set; it, or --redis-url, is the URL"):
        checked_url(url)


def test_a_url_that_is_wrong_is_named_and_not_shown() -> None:
    with pytest.raises(ConfigurationError, match=r"^LIMNER_REDIS_URL or --redis-url: not the URL") as refused:
        checked_url("http://:hush@host")
    assert "hush" not in str(refused.value)


def test_a_url_loses_its_surrounding_space() -> None:
    assert checked_url(" redis://host/1\n") == "redis://host/1"
