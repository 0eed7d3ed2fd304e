"""The configuration of a client: an error names the setting, and shows no secret."""

from typing import Any

import pytest

from config import settings
from limner import ConfigurationError, Limner, configuration
from limner.configuration import Durability, checked_durability, checked_seconds, prefix_of_env


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost",
        "http://localhost:6379",
        "redis://localhost:port",
        "redis://localhost:99999999",
        "redis://localhost/main",
        "unix://",
    ],
)
def test_a_malformed_url_is_refused_by_the_settings_name(url: str) -> None:
    with pytest.raises(ConfigurationError, match="LIMNER_REDIS_URL"):
        Limner(url)


def test_a_password_is_in_no_error_and_no_repr() -> None:
    with pytest.raises(ConfigurationError) as refused:
        Limner("redis://:hunter2@localhost:port/0")
    assert "hunter2" not in str(refused.value)
    assert "hunter2" not in repr(Limner("redis://:hunter2@localhost/0"))


@pytest.mark.parametrize(
    "url",
    [
        "redis://:pa/ss@host",
        "redis://[::1",
        "redis://:pass℀@host",
        "redis://:pass@h?foo=1",
        "redis://:pass@h:x",
    ],
)
def test_no_part_of_a_malformed_url_is_shown(url: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Limner(url)
    assert "pa" not in str(refused.value).replace("password", "").replace("path", "")
    assert refused.value.__suppress_context__


def test_the_environment_must_name_a_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    for unset in ("LIMNER_REDIS_URL", "LIMNER_IDEMPOTENCY_SECONDS", "LIMNER_DURABILITY"):
        monkeypatch.delenv(unset, raising=False)
    with pytest.raises(ConfigurationError, match="LIMNER_REDIS_URL: not set"):
        Limner.from_env()
    monkeypatch.setenv("LIMNER_REDIS_URL", "redis://localhost/0")
    assert isinstance(Limner.from_env(), Limner)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LIMNER_IDEMPOTENCY_SECONDS", "soon"),
        ("LIMNER_IDEMPOTENCY_SECONDS", "-1"),
        ("LIMNER_IDEMPOTENCY_SECONDS", "nan"),
        ("LIMNER_DURABILITY", "hope"),
    ],
)
def test_a_bad_variable_is_refused_by_its_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv("LIMNER_REDIS_URL", "redis://localhost/0")
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=name):
        Limner.from_env()


@pytest.mark.parametrize("seconds", ["2 s", None, True, 0, -1, float("nan"), float("inf"), 1e18])
def test_durations_are_bounded(seconds: Any) -> None:
    for option in ("timeout", "idempotency_seconds"):
        with pytest.raises(ConfigurationError, match=f"{option}: must be a number of seconds above 0"):
            Limner("redis://localhost/0", **{option: seconds})


def test_a_duration_of_the_environment_is_text() -> None:
    assert checked_seconds("2.5", "any") == checked_seconds(2.5, "any") == 2.5


def test_a_durability_is_one_of_three() -> None:
    assert checked_durability("disk") is Durability.DISK
    with pytest.raises(
        ConfigurationError, match="durability: must be one of server, disk, replica, not 'hope'"
    ):
        checked_durability("hope")


@pytest.mark.parametrize("name", ["a b", "{main}", "a:b", "-a", "a" * 33, "", 7])
def test_a_prefix_that_redis_would_read_otherwise_is_refused_by_its_name(name: Any) -> None:
    with pytest.raises(ConfigurationError, match="prefix"):
        Limner("redis://localhost/0", prefix=name)


def test_a_prefix_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMNER_PREFIX", "shop")
    assert prefix_of_env() == "shop"
    monkeypatch.setenv("LIMNER_PREFIX", " ")
    assert prefix_of_env() == "limner"
    monkeypatch.setenv("LIMNER_PREFIX", "a b")
    with pytest.raises(ConfigurationError, match="LIMNER_PREFIX"):
        prefix_of_env()


@pytest.mark.parametrize("name", ["limner", "Shop-2", "a.b_c", "a" * 32, "a b", "{main}", "-a", "a" * 33])
def test_clients_and_fleets_accept_the_same_names(name: str) -> None:
    assert configuration._NAME.pattern == settings._NAME.pattern
    assert bool(configuration._NAME.fullmatch(name)) is bool(settings._NAME.fullmatch(name))
